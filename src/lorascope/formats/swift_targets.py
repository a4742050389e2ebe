"""What ms-swift makes of `all-linear` and `all-embedding` on a model.

Source: ms-swift 4.6.0, `get_target_modules` in `swift/pipelines/train/tuner.py`, `find_layers`,
`find_all_linears` and `get_multimodal_target_regex` in `swift/utils/transformers_utils.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Kind
from lorascope.formats.swift_parts import Parts, parts_of

ALL_LINEAR = "all-linear"
ALL_EMBEDDING = "all-embedding"
ALL_NORM = "all-norm"

_LEFT_OUT = ("score", "v_head", "classifier", "lora_A", "lora_B", "base_layer")
"""A linear with one of these anywhere in its name is none of `all-linear`; the head beside them."""
_NOT_LINEAR = ("glulinear", "gemma4clippablelinear")
_HEADS = {"chatglm": "output_layer", "internlm2": "output"}
"""Model types whose head ms-swift knows by another name than `lm_head`."""

_MAMBA = frozenset({"falcon_h1", "mamba", "mamba2", "falcon_mamba", "nemotron_h"})
_REFUSED_IN_MAMBA = frozenset({"out_proj", "conv1d"})
_NUMBER = re.compile(r"\d+\.")

Condition = Callable[[str, Module], bool]


def swift_targets(
    targets: Sequence[str], inventory: Inventory, options: Mapping[str, Any]
) -> list[str] | str:
    """Return the list or regular expression that ms-swift hands to PEFT.

    Args:
        targets: As in `--target_modules`.
        inventory: Of the bare model.
        options: `freeze_llm`, `freeze_vit`, `freeze_aligner`, where they are given.
    """
    out = list(targets)
    if ALL_LINEAR in out:
        parts = parts_of(inventory)
        if parts is not None:
            embeddings = ALL_EMBEDDING in out
            return _multimodal_regex(inventory, parts, options, embeddings=embeddings)
        out.remove(ALL_LINEAR)
        out += _names(_modules(inventory), _is_linear(inventory))
    if ALL_EMBEDDING in out:
        out.remove(ALL_EMBEDDING)
        out += embedding_names(inventory)
    if inventory.model.model_type in _MAMBA:
        out = [name for name in out if name not in _REFUSED_IN_MAMBA]
    return out


def embedding_names(inventory: Inventory) -> list[str]:
    """Return the names that stand for `all-embedding`."""
    return _names(_modules(inventory), lambda _, module: module.kind is Kind.EMBEDDING)


def norm_names(inventory: Inventory) -> list[str]:
    """Return the names that stand for `all-norm`."""
    return _names(
        _modules(inventory),
        lambda _, module: module.cls == "LayerNorm" or "rmsnorm" in module.cls.lower(),
    )


def _modules(inventory: Inventory, below: str = "") -> dict[str, Module]:
    """Return what `named_modules()` lists of the model, or of one of its modules."""
    start = len(below) + 1 if below else 0
    return {
        module.path[start:]: module
        for module in inventory.modules
        if module.kind is not Kind.EXPERT_PARAMETER
        and module.alias_of is None
        and (not below or module.path == below or module.path.startswith(f"{below}."))
    }


def _is_linear(inventory: Inventory, *, embeddings: bool = False) -> Condition:
    head = _HEADS.get(inventory.model.model_type or "", "lm_head")
    left_out = (head, *_LEFT_OUT)

    def is_linear(name: str, module: Module) -> bool:
        if any(word in name for word in left_out):
            return False
        cls = module.cls.lower()
        is_one = "linear" in cls and not any(word in cls for word in _NOT_LINEAR)
        return is_one or (embeddings and module.kind is Kind.EMBEDDING)

    return is_linear


def _names(modules: Mapping[str, Module], is_wanted: Condition) -> list[str]:
    """Return the shortest endings of the wanted modules' names that no other module's has."""
    wanted = [name for name, module in modules.items() if is_wanted(name, module)]
    inner = {_NUMBER.sub("{}.", name) for name in modules.keys() - wanted}
    endings = {name[start:] for name in inner for start in range(len(name))}
    return list(dict.fromkeys(_shortest(name, endings) for name in wanted))


def _shortest(name: str, taken: set[str]) -> str:
    """Return the shortest last parts of a name that are none of the endings taken."""
    rest = name.split(".")
    ending = rest.pop()
    while rest and _NUMBER.sub("{}.", ending) in taken:
        ending = f"{rest.pop()}.{ending}"
    return ending


def _multimodal_regex(
    inventory: Inventory, parts: Parts, options: Mapping[str, Any], *, embeddings: bool
) -> str:
    freeze_llm = options.get("freeze_llm", False)
    freeze_vit = options.get("freeze_vit", True)
    wanted = () if freeze_llm else parts.language_model
    wanted += () if freeze_vit else parts.vision_tower
    wanted += () if options.get("freeze_aligner", True) else parts.aligner
    aligners = () if freeze_vit and freeze_llm else parts.aligner
    condition = _is_linear(inventory, embeddings=embeddings)
    branches: list[str] = []
    for path in wanted:
        module = inventory.by_path.get(path)
        if module is None or (module.kind is Kind.LINEAR and path.endswith("lm_head")):
            continue
        names = sorted(_names(_modules(inventory, path), condition))
        inside = [aligner for aligner in aligners if aligner.startswith(f"{path}.")]
        pattern = (rf"(?!({'|'.join(inside)}))" if inside else "") + re.escape(path)
        if "" in names:
            branches.append(pattern)
        if below := [name for name in names if name]:
            branches.append(rf"{pattern}(?=\.).*\.({'|'.join(below)})")
    return rf"^({'|'.join(branches)})$"
