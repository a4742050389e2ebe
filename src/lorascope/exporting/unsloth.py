"""Unsloth's `get_peft_model`, as Python.

Source of all that is said of Unsloth here: unsloth 2026.10.9, `FastLlamaModel.get_peft_model` in
`models/llama.py`, `FastBaseModel.get_peft_model` in `models/vision.py`, `FastLanguageModel.
from_pretrained` in `models/loader.py`, and `_redirect_embedding_targets`,
`get_moe_target_parameters` and `_effective_weight_tying` in `models/_utils.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lorascope.core.errors import SpecificationError
from lorascope.core.export import Form, Trainer
from lorascope.core.inventory import Inventory
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.exporting.exporter import Draft, Exporter, Outcome
from lorascope.exporting.heading import heading
from lorascope.exporting.python_text import call, value
from lorascope.exporting.saying import plain
from lorascope.exporting.wanted import peft_outcome
from lorascope.exporting.ways import ways
from lorascope.matching.configured import Configured

_VERSION = "2026.10.9"
_FIELDS = (
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "target_parameters",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "bias",
    "use_rslora",
    "use_dora",
    "lora_bias",
    "init_lora_weights",
    "trainable_token_indices",
    "ensure_weight_tying",
)
"""PEFT's fields that both of Unsloth's ways hand on under the same names."""
_ALWAYS = ("r", "lora_alpha", "lora_dropout", "target_modules")
_OWN_CODE = frozenset({"llama", "mistral", "gemma", "gemma2", "qwen2", "qwen3"})
"""Model types that `FastLanguageModel` has code of its own for; `FastModel` takes all."""
_EMBEDDINGS = frozenset({"embed_tokens", "lm_head"})
_EXPERT_WORDS = frozenset({"gate_proj", "up_proj", "down_proj", "gate_up_proj"})
_DEFAULTS = LoraSpec()
_IN_4_BITS = "from_pretrained loads the base in 4 bits unless load_in_4bit=False is given."
_HINTS = {
    "modules_to_save": (
        "Unsloth trains embeddings and heads whole where they are listed as targets: its fused loss"
        " never calls them."
    ),
}


def _drafts(wanted: Configured) -> Iterator[Draft]:
    for way in ways(wanted):
        has_layers = way.get("layers_to_transform") is not None
        if has_layers and (isinstance(way["target_modules"], str) or way.get("target_parameters")):
            continue  # Unsloth reads layers with a pattern or with parameters otherwise than PEFT
        yield Draft(_arguments(way, wanted.inventory), notes=(_IN_4_BITS,))


def _arguments(way: Mapping[str, Any], inventory: Inventory) -> dict[str, Any]:
    """Return the arguments; experts are always said, as Unsloth else adds them by itself."""
    said = {
        name: plain(way[name])
        for name in _FIELDS
        if name in _ALWAYS or way.get(name) not in (None, (), [], {}, getattr(_DEFAULTS, name))
    }
    if _has_experts(inventory):
        said.setdefault("target_parameters", [])
    return said


def _adapts(draft: Draft, wanted: Configured) -> Outcome:
    said = dict(draft.document)
    saved: list[str] = list(said.get("modules_to_save") or ())
    targets = said["target_modules"]
    if not isinstance(targets, str):
        moved = [each for each in targets if _leaf(each) in _EMBEDDINGS]
        said["target_modules"] = [each for each in targets if each not in moved]
        saved += [each for each in moved if each not in saved]
        if moved and not said["target_modules"] and not said.get("target_parameters"):
            raise SpecificationError(f"Unsloth adapts no {' or '.join(moved)}.")
    if said.get("target_parameters") is None and _has_experts(wanted.inventory):
        said["target_parameters"] = _added_experts(targets, wanted.inventory)
    both_saved = {_leaf(each) for each in saved} >= _EMBEDDINGS
    if both_saved and wanted.inventory.model.tie_word_embeddings:
        said.setdefault("ensure_weight_tying", True)
        if said["ensure_weight_tying"]:
            saved = [each for each in saved if _leaf(each) != "lm_head"]
    task = wanted.inventory.model.task_type or "CAUSAL_LM"
    return peft_outcome({**said, "modules_to_save": saved or None, "task_type": task}, wanted)


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _has_experts(inventory: Inventory) -> bool:
    return any(module.kind is Kind.EXPERT_PARAMETER for module in inventory.modules)


def _added_experts(targets: str | Sequence[str], inventory: Inventory) -> list[str]:
    """Return the expert parameters that Unsloth adds where none are named."""
    named = _expert_words(targets)
    wanted = {"gate_up_proj"} if named & {"gate_proj", "up_proj", "gate_up_proj"} else set()
    wanted |= named & {"down_proj"}
    return [
        module.path
        for module in inventory.modules
        if module.kind is Kind.EXPERT_PARAMETER and module.name in wanted
    ]


def _expert_words(targets: str | Sequence[str]) -> frozenset[str]:
    """Return the expert layers that targets stand for.

    Source: `_moe_target_set_from_string`, and `get_moe_target_parameters` for a list.
    """
    if not isinstance(targets, str):
        return _EXPERT_WORDS.intersection(targets)
    if targets in _EXPERT_WORDS:
        return frozenset({targets})
    of_blocks = any(tag in targets for tag in ("mlp", "ffn", "feed_forward", "experts"))
    if not of_blocks or re.search(r"[*+?()\[\]{}|\\^$]", targets) is None:
        return frozenset()
    named = frozenset(name for name in _EXPERT_WORDS if name in targets)
    is_any = re.search(r"(?<![qkvo]_)(?<!out_)(?<!in_)proj", targets) is not None
    return named or (_EXPERT_WORDS if is_any else frozenset())


def _write(draft: Draft, wanted: Configured) -> str:
    loader = _loader(draft, wanted)
    lines = (
        heading(wanted, Trainer.UNSLOTH, _VERSION),
        f"from unsloth import {loader}",
        "",
        f"model, tokenizer = {loader}.from_pretrained({value(wanted.base_model)})",
        f"model = {call(f'{loader}.get_peft_model', draft.document, 'model')}",
    )
    return "\n".join(lines) + "\n"


def _loader(draft: Draft, wanted: Configured) -> str:
    """Return the class to load with.

    `FastLanguageModel` trains few modules whole, and for all but its own types it narrows targets
    to attention and feed-forward of the text model.
    """
    saved = draft.document.get("modules_to_save") or ()
    is_own = wanted.inventory.model.model_type in _OWN_CODE
    return "FastLanguageModel" if is_own and all(map(_is_common, saved)) else "FastModel"


def _is_common(name: str) -> bool:
    return _leaf(name) in _EMBEDDINGS or _leaf(name).endswith("norm")


EXPORTER = Exporter(
    Trainer.UNSLOTH, _VERSION, Form.PYTHON, "train.py", _drafts, _adapts, _write, hints=_HINTS
)
