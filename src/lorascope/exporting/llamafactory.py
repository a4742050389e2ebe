"""LLaMA-Factory's YAML.

Source: llamafactory 0.9.5, `hparams/finetuning_args.py` and `model/adapter.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lorascope.core.export import Trainer
from lorascope.core.recipe import Tool
from lorascope.exporting.exporter import Draft
from lorascope.exporting.saying import Words
from lorascope.exporting.spoken import owned_keys, spoken
from lorascope.exporting.told import Told, exporter
from lorascope.formats.llamafactory import DIALECT, KEYS
from lorascope.formats.llamafactory_towers import TOWERS
from lorascope.matching.configured import Configured

WORDS = Words(Tool.LLAMAFACTORY, KEYS)
_FREEZING = ("freeze_vision_tower", "freeze_multi_modal_projector", "freeze_language_model")
_PISSA = "pissa"
_PISSA_STEPS = "pissa_niter_"


def _context(wanted: Configured) -> Mapping[str, Any]:
    revision = {} if wanted.revision is None else {"model_revision": wanted.revision}
    return {
        "model_name_or_path": wanted.base_model,
        **revision,
        "finetuning_type": "lora",
        **_freezing(wanted),
        **_pissa(wanted.spec.init_lora_weights),
    }


def _freezing(wanted: Configured) -> Mapping[str, bool]:
    """Return which parts of a multimodal model are left out: it leaves some out by itself."""
    towers = TOWERS.get(wanted.inventory.model.model_type or "")
    if towers is None:
        return {}
    frozen = {
        "freeze_vision_tower": not _any_in(wanted.adapted, towers.vision),
        "freeze_multi_modal_projector": not _any_in(wanted.adapted, towers.projector),
    }
    if not _any_in(wanted.adapted, towers.language):
        frozen["freeze_language_model"] = True
    return frozen


def _any_in(paths: Iterable[str], parts: Iterable[str]) -> bool:
    parts = tuple(parts)
    return any(part in path for path in paths for part in parts)


def _pissa(init: bool | str) -> Mapping[str, Any]:
    """Return what says PiSSA, its only initialization beside the usual one."""
    if not isinstance(init, str):
        return {}
    if init == _PISSA:
        return {"pissa_init": True, "pissa_iter": -1}
    steps = init.removeprefix(_PISSA_STEPS)
    if steps == init or not steps.isdecimal():
        return {}
    return {"pissa_init": True, "pissa_iter": int(steps)}


def _drafts(wanted: Configured) -> Iterator[Draft]:
    yield from spoken(wanted, WORDS, _context)


EXPORTER = exporter(
    Told(
        to=Trainer.LLAMAFACTORY,
        version=DIALECT.version,
        file_name="llamafactory.yaml",
        drafts=_drafts,
        context={
            "model_name_or_path": None,
            "model_revision": None,
            "finetuning_type": frozenset({"lora"}),
        },
        owned=owned_keys(WORDS, *_FREEZING, "pissa_init", "pissa_iter", "use_llama_pro"),
        model_key="model_name_or_path",
        has_heads=True,
        hints={
            "r": "LLaMA-Factory has one rank for all modules.",
            "target_parameters": "LLaMA-Factory has no target_parameters, so experts that"
            " transformers keeps as parameters get no LoRA.",
            "lora_alpha": "LLaMA-Factory has one alpha for all modules, a whole number.",
            "task_type": "LLaMA-Factory trains causal language models; for a reward model set"
            " stage: rm.",
        },
    )
)
