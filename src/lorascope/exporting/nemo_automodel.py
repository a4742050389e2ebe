"""NeMo AutoModel's `peft` section, as YAML.

Source of all that is said of AutoModel here: nemo-automodel 0.7.0, `PeftConfig`,
`apply_lora_to_linear_modules` and `patch_moe_module` in `components/_peft/lora.py`,
`ModuleMatcher` in `components/_peft/module_matcher.py` and `_transformers/registry.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from lorascope.core.errors import ExportError
from lorascope.core.export import Form, Trainer
from lorascope.core.inventory import Inventory
from lorascope.core.paths import parent_path
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.exporting.exporter import Draft, Exporter, FileBase, Merged, Outcome, ReadBase
from lorascope.exporting.file_base import on_another
from lorascope.exporting.heading import heading
from lorascope.exporting.wanted import main_at, plain_alpha
from lorascope.exporting.yaml_text import yaml_text
from lorascope.formats.merge import Merge, merge_yaml
from lorascope.matching.configured import At, Configured
from lorascope.planning.suffixes import shortest_suffixes

_VERSION = "0.7.0"
_MODEL = "pretrained_model_name_or_path"
_OWNED = (
    "target_modules",
    "exclude_modules",
    "match_all_linear",
    "dim",
    "alpha",
    "dropout",
    "dropout_position",
    "use_dora",
    "moe_rank_scaling",
)
"""Keys of the section `peft` that choose and scale."""
_CONFIG = "nemo_automodel.components._peft.lora.PeftConfig"
_GROUPED_EXPERTS = frozenset({"qwen3_moe", "glm4_moe", "deepseek_v3", "gpt_oss", "minimax_m2"})
"""Model types whose experts AutoModel has in a class of its own, which it adapts as one."""
_OWN_CLASSES = _GROUPED_EXPERTS | {
    "deepseek_v32",
    "deepseek_v4",
    "ernie4_5_moe",
    "gemma4",
    "glm4_moe_lite",
    "glm_moe_dsa",
    "ministral3",
    "mistral3",
    "mistral4",
    "nemotron_h",
    "qwen2_5_omni",
    "qwen3_5",
    "qwen3_5_moe",
    "qwen3_next",
    "qwen3_omni_moe",
    "qwen3_vl",
    "qwen3_vl_moe",
}
"""Model types with a class of AutoModel's own. Those of llama, qwen2 and qwen3 are left out: their
modules are called as in transformers."""
_OWN_CLASS = (
    "AutoModel has a class of its own for this model type: compare the names with its modules."
)
_LAYER = re.compile(r"(?P<before>(?:.*?\.)?[^.\d]+)\.(?P<layer>\d+)\.(?P<inside>.+)")
_HINTS = {
    "targets": "AutoModel adapts linears only, and experts as a whole where it has its own class.",
    "r": "AutoModel has one rank for all targets.",
    "modules_to_save": "AutoModel trains nothing beside LoRA.",
}


def _drafts(wanted: Configured) -> Iterator[Draft]:
    places = _places(wanted.inventory)
    chosen = [place for place, paths in places.items() if any(p in wanted.adapted for p in paths)]
    if not chosen:
        raise ExportError(
            f"NeMo AutoModel adapts none of the modules that {wanted.origin} does: none is an"
            " nn.Linear.",
        )
    at = main_at(wanted)
    model_type = wanted.inventory.model.model_type
    notes = (_OWN_CLASS,) if model_type in _OWN_CLASSES else ()
    for patterns in _patterns(chosen, [place for place in places if place not in chosen]):
        peft = {
            "_target_": _CONFIG,
            "target_modules": patterns,
            "dim": at.rank,
            "alpha": plain_alpha(at),
            "dropout": wanted.spec.lora_dropout,
            "dropout_position": "pre",
        }
        if wanted.spec.use_dora:
            peft["use_dora"] = True
        document = {
            "model": {
                "_target_": f"nemo_automodel.{_auto_class(wanted.inventory)}.from_pretrained",
                _MODEL: wanted.base_model,
            },
            "peft": peft,
        }
        yield Draft(document, notes=notes)


def _auto_class(inventory: Inventory) -> str:
    is_multimodal = "ForConditionalGeneration" in inventory.model.cls
    return f"NeMoAutoModelFor{'ImageTextToText' if is_multimodal else 'CausalLM'}"


def _patterns(chosen: Sequence[str], others: Sequence[str]) -> Iterator[list[str]]:
    """Yield lists of names with wildcards that name all of the chosen and none of the others."""
    suffixes = shortest_suffixes(chosen, others, numbers=False)
    if suffixes is not None:
        yield [each if each in chosen else f"*.{each}" for each in suffixes]
    yield list(dict.fromkeys(_of_layer(path) for path in chosen))
    yield list(chosen)


def _of_layer(path: str) -> str:
    """Return the pattern for all layers if there are such: `model.layers.*.mlp.up_proj`."""
    found = _LAYER.fullmatch(path)
    return path if found is None else f"{found['before']}.*.{found['inside']}"


def _places(inventory: Inventory) -> Mapping[str, tuple[str, ...]]:
    """Return what AutoModel can adapt: its name → the paths that it stands for."""
    found: dict[str, tuple[str, ...]] = {}
    is_grouped = inventory.model.model_type in _GROUPED_EXPERTS
    for module in inventory.adaptable:
        if module.kind is Kind.LINEAR:
            found[module.path] = (module.path,)
        elif module.kind is Kind.EXPERT_PARAMETER and is_grouped:
            holder = parent_path(module.path)
            found[holder] = (*found.get(holder, ()), module.path)
    return found


def _adapts(draft: Draft, wanted: Configured) -> Outcome:
    peft: Mapping[str, Any] = draft.document["peft"]
    at = At(peft["dim"], peft["alpha"] / peft["dim"])
    adapted = {
        path: at
        for place, paths in _places(wanted.inventory).items()
        if any(place == each or wildcard_match(each, place) for each in peft["target_modules"])
        for path in paths
    }
    spec = LoraSpec(lora_dropout=peft["dropout"], use_dora=peft.get("use_dora", False))
    return Outcome(adapted, spec=spec)


def wildcard_match(pattern: str, name: str) -> bool:
    """Whether AutoModel's pattern names a module.

    Both `*` and `.*` stand for any text; behind a whole part of a name `.*` keeps its dot.

    Source: nemo-automodel 0.7.0, `_compile_wildcard_pattern`.
    """
    return _compiled(pattern).match(name) is not None


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\.?\*)", pattern)
    regex = ""
    for place, part in enumerate(parts):
        if place % 2 == 0:
            regex += part
        elif part == ".*" and _ends_a_part(parts, place):
            regex += r"(\..*)?"
        else:
            regex += "(.*)"
    return re.compile(f"^{regex}$")


def _ends_a_part(parts: Sequence[str], place: int) -> bool:
    before = parts[place - 1]
    is_first = place == 1 and bool(parts[0])
    return before.startswith(".") or is_first or re.search(r"\.\d+$", before) is not None


def _write(draft: Draft, wanted: Configured) -> str:
    return yaml_text(draft.document, heading(wanted, Trainer.NEMO_AUTOMODEL, _VERSION))


def _merge(draft: Draft, wanted: Configured, text: str, origin: str, read_base: ReadBase) -> Merged:
    kept = {f"model.{key}": None for key in draft.document["model"]}
    owned = frozenset(f"peft.{key}" for key in _OWNED) | {f"model.{_MODEL}"}
    change = Merge(draft.document, owned, kept, f"model.{_MODEL}")
    result, document = merge_yaml(text, origin, Trainer.NEMO_AUTOMODEL.own_name, change)

    def outcome_on(other: Configured) -> Outcome:
        return _adapts(Draft(document), other)

    done = Merged(result, outcome_on(wanted))
    named = str(document["model"][_MODEL])
    if named == wanted.base_model:
        return done
    base = FileBase(named, origin, None, None)
    return on_another(base, done, wanted, read_base, outcome_on, model_key=f"model.{_MODEL}")


EXPORTER = Exporter(
    Trainer.NEMO_AUTOMODEL,
    _VERSION,
    Form.YAML,
    "finetune.yaml",
    _drafts,
    _adapts,
    _write,
    _merge,
    hints=_HINTS,
)
