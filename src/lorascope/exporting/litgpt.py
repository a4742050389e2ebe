"""LitGPT's settings of `litgpt finetune_lora --config`, as YAML.

Source of all that is said of LitGPT here: litgpt 0.5.13, `setup` in `finetune/lora.py`, the classes
of `lora.py` (`LoRAQKVLinear`, `create_lora_linear`, `LLaMAMoE`), `convert_hf_checkpoint` in
`scripts/convert_hf_checkpoint.py` and the models of `config.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from lorascope.core.errors import ExportError
from lorascope.core.export import Form, Loss, Trainer
from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import EXPERTS, Role
from lorascope.core.spec import LoraSpec
from lorascope.exporting.exporter import Draft, Exporter, FileBase, Merged, Outcome, ReadBase
from lorascope.exporting.file_base import on_another
from lorascope.exporting.heading import heading
from lorascope.exporting.wanted import main_at, plain_alpha
from lorascope.exporting.yaml_text import yaml_text
from lorascope.formats.merge import Merge, merge_yaml
from lorascope.matching.configured import At, Configured

_VERSION = "0.5.13"
_FOLDER = "checkpoint_dir"
_MODEL_TYPES = frozenset(
    {
        "falcon",
        "gemma",
        "gemma2",
        "gemma3_text",
        "gpt_neox",
        "llama",
        "mistral",
        "mixtral",
        "olmo",
        "olmo2",
        "phi",
        "phi3",
        "qwen2",
        "qwen3",
        "qwen3_moe",
        "stablelm",
    }
)
"""Model types whose checkpoints LitGPT converts; of each it knows the models of its own list."""
_ATTENTION: Mapping[str, Role] = {
    "lora_query": Role.ATTENTION_Q,
    "lora_key": Role.ATTENTION_K,
    "lora_value": Role.ATTENTION_V,
}
_SWITCHES: Mapping[str, frozenset[Role]] = {
    **{name: frozenset({role}) for name, role in _ATTENTION.items()},
    "lora_projection": frozenset({Role.ATTENTION_O}),
    "lora_mlp": EXPERTS
    | {Role.FFN_GATE, Role.FFN_UP, Role.FFN_DOWN, Role.FFN_GATE_UP, Role.MOE_ROUTER},
    "lora_head": frozenset({Role.HEAD_LM}),
}
"""Switch → what it adapts. LitGPT's router is a linear of its feed-forward, and goes with it."""
_SPLIT: Mapping[Role, int] = {
    Role.ATTENTION_QKV: 3,
    Role.FFN_GATE_UP: 2,
    Role.MOE_EXPERTS_GATE_UP: 2,
}
"""Fused in transformers → how many pairs of factors LitGPT trains for it."""
_HINTS = {
    "targets": (
        "LitGPT switches query, key, value, output projection, feed-forward (with a mixture's"
        " router) and head on or off for all layers together."
    ),
    "r": "LitGPT has one rank for all targets.",
}
_NOTES = (
    "checkpoint_dir is a folder with a checkpoint in LitGPT's form: litgpt download, or litgpt"
    " convert_to_litgpt, makes it.",
    "LitGPT draws its initial weights otherwise than PEFT.",
)


def _drafts(wanted: Configured) -> Iterator[Draft]:
    _check_model(wanted)
    at = main_at(wanted)
    roles = [
        module.role
        for path in wanted.adapted
        if (module := wanted.inventory.by_path.get(path)) is not None
    ]
    chosen = _switched_on(roles)
    partly = {name for name in chosen if not _asked(name, wanted.inventory) <= set(roles)}
    for on in (chosen, chosen - partly):
        if on:
            yield Draft(
                {
                    _FOLDER: f"checkpoints/{wanted.base_model}",
                    "lora_r": at.rank,
                    "lora_alpha": round(plain_alpha(at)),
                    "lora_dropout": wanted.spec.lora_dropout,
                    **{name: name in on for name in _SWITCHES},
                },
                losses=tuple(_split(roles, on)),
                notes=_NOTES,
            )


def _switched_on(roles: Collection[Role]) -> set[str]:
    """Return the switches that the wanted roles need."""
    on = {name for name, by in _SWITCHES.items() if not by.isdisjoint(roles)}
    return on | _ATTENTION.keys() if Role.ATTENTION_QKV in roles else on


def _asked(switch: str, inventory: Inventory) -> set[Role]:
    """Return the roles that a switch adapts, without the router: nobody asks for that."""
    present = {module.role for module in inventory.adaptable}
    return set(_SWITCHES[switch] & present - {Role.MOE_ROUTER})


def _check_model(wanted: Configured) -> None:
    model = wanted.inventory.model
    if model.model_type not in _MODEL_TYPES:
        raise ExportError(
            f"LitGPT {_VERSION} has no model of the type {model.model_type}, which"
            f" {model.reference} is.",
            f"It converts {', '.join(sorted(_MODEL_TYPES))}.",
        )


def _split(roles: list[Role], chosen: set[str]) -> Iterator[Loss]:
    """Yield what is one pair of factors in PEFT and several in LitGPT."""
    fused = [role for role in _SPLIT if role in roles and _covered(role, chosen)]
    for role in fused:
        yield Loss(
            "targets",
            f"LitGPT trains {_SPLIT[role]} pairs of factors for each {role.value} where one was"
            " planned.",
            "Each part of it gets LoRA of the full rank of its own.",
        )


def _covered(role: Role, chosen: set[str]) -> bool:
    if role is Role.ATTENTION_QKV:
        return chosen >= _ATTENTION.keys()
    return "lora_mlp" in chosen


def _adapts(draft: Draft, wanted: Configured) -> Outcome:
    said = draft.document
    rank = said["lora_r"]
    at = At(rank, said["lora_alpha"] / rank)
    on = {name for name in _SWITCHES if said[name]}
    roles = frozenset().union(*(_SWITCHES[name] for name in on))
    if on >= _ATTENTION.keys():
        roles |= {Role.ATTENTION_QKV}
    adapted = {each.path: at for each in _linears(wanted.inventory) if each.role in roles}
    spec = LoraSpec(lora_dropout=said["lora_dropout"])
    return Outcome(adapted, spec=spec)


def _linears(inventory: Inventory) -> Iterator[Module]:
    """Yield what LitGPT has a linear for: also routers that PEFT cannot adapt."""
    for module in inventory.modules:
        if module.alias_of is None and (module.kind.adaptable or module.role is Role.MOE_ROUTER):
            yield module


def _write(draft: Draft, wanted: Configured) -> str:
    return yaml_text(draft.document, heading(wanted, Trainer.LITGPT, _VERSION))


def _merge(draft: Draft, wanted: Configured, text: str, origin: str, read_base: ReadBase) -> Merged:
    values = dict(draft.document)
    change = Merge(values, frozenset(), {_FOLDER: None}, _FOLDER)
    result, document = merge_yaml(text, origin, Trainer.LITGPT.own_name, change)

    def outcome_on(other: Configured) -> Outcome:
        return _adapts(Draft({name: document[name] for name in values}), other)

    done = Merged(result, outcome_on(wanted))
    folder = str(document[_FOLDER])
    if folder.rstrip("/").endswith(wanted.base_model):
        return done
    base = FileBase(folder.removeprefix("checkpoints/"), origin, None, None)
    return on_another(base, done, wanted, read_base, outcome_on, model_key=_FOLDER)


EXPORTER = Exporter(
    Trainer.LITGPT,
    _VERSION,
    Form.YAML,
    "lora.yaml",
    _drafts,
    _adapts,
    _write,
    _merge,
    hints=_HINTS,
)
