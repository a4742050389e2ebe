"""Megatron Bridge's `LoRA` and `CanonicalLoRA`, as Python.

Source of all that is said of Megatron Bridge here: Megatron-Bridge 0.6.0, `peft/lora.py`,
`peft/canonical_lora.py`, `ModuleMatcher` in `peft/module_matcher.py` and `wildcard_match` in
`peft/utils.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product

from lorascope.core.errors import ExportError, SpecificationError
from lorascope.core.export import Form, Loss, Trainer
from lorascope.core.roles import EXPERTS, Role
from lorascope.core.spec import LoraSpec
from lorascope.exporting.exporter import Draft, Exporter, Outcome
from lorascope.exporting.heading import heading
from lorascope.exporting.megatron_names import SPLITS, Place, places
from lorascope.exporting.python_text import call
from lorascope.exporting.wanted import main_at, plain_alpha
from lorascope.matching.configured import At, Configured

_VERSION = "0.6.0"
_CANONICAL, _FUSED = "CanonicalLoRA", "LoRA"
_CLASS = "class"
_MODULES = {
    _CANONICAL: "megatron.bridge.peft.canonical_lora",
    _FUSED: "megatron.bridge.peft.lora",
}
_ARCHITECTURES = frozenset(
    {
        "DeepseekV2ForCausalLM",
        "DeepseekV3ForCausalLM",
        "Ernie4_5_MoeForCausalLM",
        "Exaone4ForCausalLM",
        "FalconH1ForCausalLM",
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "Gemma3ForConditionalGeneration",
        "Gemma4ForCausalLM",
        "Gemma4ForConditionalGeneration",
        "GemmaForCausalLM",
        "Glm4MoeForCausalLM",
        "Glm4MoeLiteForCausalLM",
        "Glm4vMoeForConditionalGeneration",
        "GlmMoeDsaForCausalLM",
        "GptOssForCausalLM",
        "HYV3ForCausalLM",
        "LlamaForCausalLM",
        "MiMoV2FlashForCausalLM",
        "MiniMaxM2ForCausalLM",
        "Mistral3ForConditionalGeneration",
        "MistralForCausalLM",
        "NemotronForCausalLM",
        "NemotronHForCausalLM",
        "OlmoeForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen2_5_VLForConditionalGeneration",
        "Qwen3ForCausalLM",
        "Qwen3MoeForCausalLM",
        "Qwen3NextForCausalLM",
        "Qwen3VLForConditionalGeneration",
        "Qwen3VLMoeForConditionalGeneration",
        "Qwen3_5ForCausalLM",
        "Qwen3_5MoeForCausalLM",
    }
)
"""Classes of transformers that it has a bridge for."""
_HINTS = {
    "targets": (
        "CanonicalLoRA fails in its first step unless q, k and v of a layer are adapted together,"
        " and gate and up."
    ),
    "r": "Megatron Bridge has one rank for all targets.",
    "modules_to_save": "Megatron Bridge trains nothing beside LoRA.",
}
_NOTES = (
    "config is the training configuration, for example of a recipe of megatron.bridge.recipes.",
    "With pipeline parallelism layers are counted from 0 on each stage.",
)


def _drafts(wanted: Configured) -> Iterator[Draft]:
    model = wanted.inventory.model
    if model.cls not in _ARCHITECTURES:
        raise ExportError(f"Megatron Bridge {_VERSION} has no bridge for {model.cls}.")
    known = places(wanted.inventory)
    chosen = [place for place in known if place.path in wanted.adapted]
    if not chosen:
        raise ExportError(f"Megatron Bridge adapts none of the modules that {wanted.origin} does.")
    at = main_at(wanted)
    for kind, names in product((_CANONICAL, _FUSED), _namings(chosen)):
        document = {
            _CLASS: kind,
            "target_modules": _whole(names) if kind == _FUSED else _completed(names),
            "dim": at.rank,
            "alpha": plain_alpha(at),
            "dropout": wanted.spec.lora_dropout,
        }
        if any(wanted.inventory.by_path[place.path].role in EXPERTS for place in chosen):
            document["share_expert_adapters"] = False
        yield Draft(document, losses=tuple(_factors(kind, chosen)), notes=_NOTES)


def _namings(chosen: Sequence[Place]) -> Iterator[list[str]]:
    """Yield bare names, then those of all layers, then all names in full."""
    targets = [place.target for place in chosen]
    yield list(dict.fromkeys(target.rpartition(".")[2] for target in targets))
    yield list(dict.fromkeys(re.sub(r"\.layers\.\d+\.", ".layers.*.", each) for each in targets))
    yield targets


def _whole(names: Sequence[str]) -> list[str]:
    """Return names with each part replaced by the linear that it is a part of."""
    return list(dict.fromkeys(_linear_of(name)[0] for name in names))


def _completed(names: Sequence[str]) -> list[str]:
    """Return names with all parts of each linear that one part of is named.

    A fused linear is named by its parts; that of the experts, which stays whole, by one of them.
    """
    found: dict[str, None] = {}
    for name in names:
        linear, _ = _linear_of(name)
        before, _, leaf = linear.rpartition(".")
        parts = SPLITS.get(leaf, (leaf,))
        parts = parts[-1:] if before.endswith("mlp.experts") and leaf in SPLITS else parts
        found |= {f"{before}.{part}" if before else part: None for part in parts}
    return list(found)


def _linear_of(target: str) -> tuple[str, str]:
    """Return the pattern of the linear that `CanonicalLoRA` makes of a target, and the part."""
    for leaf, parts in SPLITS.items():
        for part in parts:
            if target.endswith(part):
                return target.replace(part, leaf), part
    return target, target


def _factors(kind: str, chosen: Sequence[Place]) -> Iterator[Loss]:
    """Yield where it trains another number of factors than PEFT for what is adapted."""
    for leaf in SPLITS:
        concerned = [p for p in chosen if p.leaf == leaf and ".experts." not in p.name]
        is_split = {place.part is not None for place in concerned}
        if kind == _FUSED and True in is_split:
            message = f"LoRA trains one pair of factors for all parts of {leaf} together."
        elif kind == _CANONICAL and False in is_split:
            message = f"CanonicalLoRA trains a pair of factors for each part of {leaf}."
        else:
            continue
        yield Loss("targets", message, paths=tuple(place.path for place in concerned))


def _adapts(draft: Draft, wanted: Configured) -> Outcome:
    said = draft.document
    at = At(said["dim"], said["alpha"] / said["dim"])
    is_canonical = said[_CLASS] == _CANONICAL
    mapping: dict[str, set[str]] = {}
    for target in said["target_modules"]:
        pattern, part = _linear_of(target) if is_canonical else (target, target)
        if is_canonical and target.endswith(tuple(SPLITS)):
            raise SpecificationError(f"CanonicalLoRA refuses {target!r} as a target.")
        mapping.setdefault(pattern, set()).add(part)
    adapted: dict[str, At] = {}
    for place in places(wanted.inventory):
        pattern = next((each for each in mapping if _names(each, place)), None)
        if pattern is None:
            continue
        if is_canonical and place.leaf in SPLITS and not _stays_whole(place):
            role = wanted.inventory.by_path[place.path].role
            _check_parts(place, mapping[pattern], role)
        adapted[place.path] = at
    return Outcome(adapted, spec=LoraSpec(lora_dropout=said["dropout"]))


def _names(pattern: str, place: Place) -> bool:
    """Whether a pattern names a linear: by its last part, or in full with `*` for any text."""
    regex = "^" + pattern.replace("*", "(.*)") + "$"
    return pattern == place.leaf or re.match(regex, place.name) is not None


def _stays_whole(place: Place) -> bool:
    """Source: `_should_treat_linear_fc1_as_unfused` in `peft/canonical_lora.py`."""
    is_fc1 = place.leaf == "linear_fc1"
    is_kept = place.name.startswith("vision_model.") or place.name.endswith(
        "mlp.experts.linear_fc1"
    )
    return is_fc1 and is_kept


def _check_parts(place: Place, named: set[str], role: Role) -> None:
    """Raise where its first step fails.

    It calls the adapter of each part, and a missing one is None; a linear without a gate has no
    halves.

    Source: `LoRALinearSplitQKV.forward`, `LoRALinearSplitFC1UpGate.forward`.
    """
    parts = set(SPLITS[place.leaf])
    if named < parts:
        lacking = ", ".join(sorted(parts - named))
        raise SpecificationError(f"CanonicalLoRA fails on {place.name} without {lacking}.")
    if place.part is None and role is Role.FFN_UP:
        raise SpecificationError(f"CanonicalLoRA cuts {place.name}, which has no gate, in two.")


def _write(draft: Draft, wanted: Configured) -> str:
    arguments = {name: each for name, each in draft.document.items() if name != _CLASS}
    kind = draft.document[_CLASS]
    lines = (
        heading(wanted, Trainer.MEGATRON_BRIDGE, _VERSION),
        f"from {_MODULES[kind]} import {kind}",
        "",
        f"config.peft = {call(kind, arguments)}",
    )
    return "\n".join(lines) + "\n"


EXPORTER = Exporter(
    Trainer.MEGATRON_BRIDGE,
    _VERSION,
    Form.PYTHON,
    "peft.py",
    _drafts,
    _adapts,
    _write,
    hints=_HINTS,
)
