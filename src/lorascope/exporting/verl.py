"""verl's settings, as overrides of its command.

Source of all that is said of verl here: verl 0.9.1, `_build_lora_module` in
`workers/engine/fsdp/transformer_impl.py`, `HFModelConfig` in `workers/config/model.py` and
`trainer/config/model/hf_model.yaml`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from lorascope.core.export import Form, Trainer
from lorascope.exporting.exporter import Draft, Exporter, Outcome
from lorascope.exporting.heading import heading
from lorascope.exporting.wanted import peft_outcome
from lorascope.exporting.ways import ways
from lorascope.matching.configured import Configured

_VERSION = "0.9.1"
_KEYS: Mapping[str, str] = {
    "actor_rollout_ref.model.lora_rank": "r",
    "actor_rollout_ref.model.lora_alpha": "lora_alpha",
    "actor_rollout_ref.model.target_modules": "target_modules",
    "actor_rollout_ref.model.exclude_modules": "exclude_modules",
    "+actor_rollout_ref.model.target_parameters": "target_parameters",
}
"""Override → PEFT's field. The last is in the code's class but not in its YAML: hence the plus."""
_MODEL = "actor_rollout_ref.model.path"
_ALWAYS = ("r", "lora_alpha", "target_modules")
_UNKNOWN = (
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "layers_to_transform",
    "layers_pattern",
)
"""Fields that choose or scale and that verl does not hand on."""
_HANDED = {"task_type": "CAUSAL_LM", "bias": "none"}
"""What verl hands to PEFT whatever is set."""
_NOTES = (
    "These settings are of the FSDP engine; the Megatron engine reads"
    " actor_rollout_ref.model.lora.*.",
)
_HINTS = {
    "r": "verl has one rank for all targets.",
    "lora_dropout": "verl trains without dropout in LoRA.",
}
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


def _drafts(wanted: Configured) -> Iterator[Draft]:
    for way in ways(wanted):
        if any(way.get(name) for name in _UNKNOWN):
            continue
        if not isinstance(way.get("exclude_modules") or "", str):
            continue
        document = {
            key: way[name] for key, name in _KEYS.items() if way.get(name) or name in _ALWAYS
        }
        yield Draft({_MODEL: wanted.base_model, **document}, notes=_NOTES)


def _adapts(draft: Draft, wanted: Configured) -> Outcome:
    said = {name: draft.document[key] for key, name in _KEYS.items() if key in draft.document}
    return peft_outcome({**said, **_HANDED}, wanted)


def _write(draft: Draft, wanted: Configured) -> str:
    overrides = [shlex.quote(f"{key}={_hydra(each)}") for key, each in draft.document.items()]
    lines = ["python3 -m verl.trainer.main_ppo", *overrides]
    return f"{heading(wanted, Trainer.VERL, _VERSION)}\n" + " \\\n    ".join(lines) + "\n"


def _hydra(value: Any) -> str:
    """Return a value as Hydra's overrides take it: a backslash counts only before a quote."""
    if isinstance(value, str):
        if _PLAIN.fullmatch(value):
            return value
        escaped = re.sub(r'(\\*)("|$)', lambda found: _escaped(*found.groups()), value)
        return f'"{escaped}"'
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_hydra(each) for each in value)}]"
    return str(value)


def _escaped(backslashes: str, quote: str) -> str:
    return backslashes * 2 + ('\\"' if quote else "")


EXPORTER = Exporter(
    Trainer.VERL,
    _VERSION,
    Form.SHELL,
    "run_lora.sh",
    _drafts,
    _adapts,
    _write,
    hints=_HINTS,
    has_dropout=False,
)
