"""What a plan says about itself: why this preset, and what it means on this model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lorascope.core.inventory import Inventory, Module
from lorascope.core.numbers import short
from lorascope.core.observation import Call
from lorascope.core.plan import Advice
from lorascope.core.roles import EXPERTS, PERCEPTION, Kind, Role, Tower
from lorascope.planning.evidence import (
    EXPERTS_ADVICE,
    HYBRID_ADVICE,
    PRESET_ADVICE,
    RACE_ADVICE,
    SERVING_ADVICE,
    STATE_SPACE_ADVICE,
    TASKS,
    VISION_ADVICE,
)
from lorascope.planning.request import PlanRequest
from lorascope.planning.selection import Selection
from lorascope.planning.targets import Planned
from lorascope.planning.trainable import why_untrainable
from lorascope.planning.words import WORDS, listed, means

_FUSED: Mapping[Role, tuple[str, ...]] = {
    Role.ATTENTION_QKV: ("q", "k", "v"),
    Role.ATTENTION_QK: ("q", "k"),
    Role.ATTENTION_KV: ("k", "v"),
    Role.ATTENTION_QKVO: ("q", "k", "v", "o"),
    Role.LINEAR_ATTENTION_QKV: ("q", "k", "v"),
    Role.FFN_GATE_UP: ("gate", "up"),
    Role.MOE_SHARED_GATE_UP: ("gate", "up"),
    Role.MOE_EXPERTS_GATE_UP: ("gate", "up"),
}
_LATENT_Q = (Role.ATTENTION_Q_A, Role.ATTENTION_Q_B)
_LATENT_KV = (Role.ATTENTION_KV_A, Role.ATTENTION_KV_B)


def advise(
    inventory: Inventory,
    request: PlanRequest,
    selection: Selection,
    planned: Sequence[Planned],
    config: Mapping[str, Any],
) -> tuple[Advice, ...]:
    """Return the grounds of the choice first, then facts about this model."""
    return (
        *_grounds(inventory, request, selection),
        *_meaning(inventory, request, selection),
        *_experts(inventory, request, selection),
        *_left_out(inventory, selection),
        *_not_reached(selection),
        *_written(request, planned, config),
    )


def _grounds(inventory: Inventory, request: PlanRequest, selection: Selection) -> Iterator[Advice]:
    task = TASKS.get(request.task or "")
    if task is not None and selection.name == task.preset:
        yield from task.advice
    elif task is not None:
        yield Advice(
            f"For {request.task} the preset advised is {task.preset}; {selection.name} was asked."
        )
        yield from PRESET_ADVICE.get(selection.name, ())
    else:
        yield from PRESET_ADVICE.get(selection.name, ())
    present = {module.role.group for module in inventory.adaptable}
    chosen = {each.module.role.group for each in selection.chosen}
    if any(each.rule.divisor > 1 for each in selection.chosen):
        yield EXPERTS_ADVICE
    if "ssm" in chosen:
        yield STATE_SPACE_ADVICE
    if "attention" in present and present & {"ssm", "linear_attention"}:
        yield HYBRID_ADVICE
    if {Tower.ENCODER, Tower.DECODER} <= {module.tower for module in inventory.adaptable}:
        yield RACE_ADVICE
    if any(m.tower is Tower.VISION for m in inventory.adaptable) and not request.towers:
        yield VISION_ADVICE


def _meaning(inventory: Inventory, request: PlanRequest, selection: Selection) -> Iterator[Advice]:
    """Fused and latent projections, and words that name nothing here."""
    asked = [word for word in request.words if word in WORDS]
    by_role: dict[Role, list[Module]] = {}
    for each in selection.chosen:
        by_role.setdefault(each.module.role, []).append(each.module)
    for role, parts in _FUSED.items():
        if role not in by_role:
            continue
        meant = [part for part in parts if part in asked]
        also = [part for part in parts if part not in asked]
        if meant and also:
            yield Advice(
                f"{listed(meant)} can only mean {_names(by_role[role])} on this model:"
                f" {listed(also)} {'is' if len(also) == 1 else 'are'} adapted as well."
            )
        elif len(meant) > 1:
            yield Advice(
                f"{listed(meant)} are one fused projection here, {_names(by_role[role])}: one LoRA"
                " for all of them."
            )
    yield from _latent(asked, by_role)
    if any(role.group == "linear_attention" for role in by_role) and asked:
        yield Advice("Linear attention layers count as attention here.")
    yield from _missing(inventory, selection)
    yield from _reach(inventory, request, selection)


def _reach(inventory: Inventory, request: PlanRequest, selection: Selection) -> Iterator[Advice]:
    """In a hybrid, how many of the layers have such modules at all."""
    if request.layers is not None or request.exclude or request.only is not None:
        return
    layers = {
        (m.tower, m.layer)
        for m in inventory.adaptable
        if m.layer is not None and m.tower in selection.towers
    }
    reached = {(each.module.tower, each.module.layer) for each in selection.chosen} & layers
    if reached and len(reached) < len(layers):
        yield Advice(f"Only {len(reached)} of {len(layers)} layers have such modules.")


def _missing(inventory: Inventory, selection: Selection) -> Iterator[Advice]:
    """Words of the preset for which nothing is adapted."""
    routed = {m.role: m for m in inventory.adaptable if m.role in EXPERTS}.values()
    in_experts = [w for w in selection.missing if any(means(w, m) for m in routed)]
    nowhere = [w for w in selection.missing if w not in in_experts]
    if in_experts:
        yield Advice(
            f"This model has {listed(in_experts)} in its routed experts only, so nothing of it is"
            " adapted."
        )
    if nowhere:
        yield Advice(f"This model has no {listed(nowhere)} that could be adapted.")


def _latent(asked: Sequence[str], by_role: Mapping[Role, list[Module]]) -> Iterator[Advice]:
    steps = [m for role in _LATENT_Q for m in by_role.get(role, ())]
    if "q" in asked and steps:
        yield Advice(f"Latent attention makes q in steps: q means {_names(steps)}.")
    steps = [m for role in _LATENT_KV for m in by_role.get(role, ())]
    if steps and "v" in asked:
        also = "" if "k" in asked else " They make k as well, which is so adapted too."
        yield Advice(f"Latent attention makes v in steps: v means {_names(steps)}.{also}")
    elif steps and "k" in asked:
        yield Advice(
            f"Latent attention makes k in steps: k means {_names(steps)}. They make v as well,"
            " which is so adapted too."
        )


def _experts(inventory: Inventory, request: PlanRequest, selection: Selection) -> Iterator[Advice]:
    routed = [m for m in inventory.adaptable if m.role in EXPERTS]
    if not routed:
        return
    total = inventory.model.total_params
    adapted = {each.module.path for each in selection.chosen}
    frozen = sum(m.params for m in routed if m.path not in adapted)
    if frozen:
        meant = any(means(word, m) for word in request.words for m in routed)
        known = selection.experts or request.experts is False
        hint = "" if known or not meant else " --experts includes those that are meant."
        yield Advice(
            f"Routed experts: {short(frozen)} of {short(total)} parameters stay frozen.{hint}"
        )
    yield from _experts_rank(request, selection, inventory.model.experts_per_token or 1)


def _experts_rank(request: PlanRequest, selection: Selection, active: int) -> Iterator[Advice]:
    """Whether the rank of routed experts is divided by those active for a token, and why not."""
    adapted = [each for each in selection.chosen if each.module.role in EXPERTS]
    if not adapted or active < 2:
        return
    task = TASKS.get(request.task or "")
    full = f"Routed experts get the full rank; {active} of them are active for a token."
    if any(each.rule.divisor > 1 for each in adapted):
        yield Advice(
            f"Routed experts get the rank divided by the {active} experts active for a token, at"
            " least 1, with the same alpha/r."
        )
    elif request.roles:
        unranked = [role.entry for role in request.parsed_roles if role.rank is None]
        if any(means(word, each.module) for word in unranked for each in adapted):
            yield Advice(f"{full} --roles gives them one of their own: moe.experts=2, for example.")
    elif task is not None and not task.divide_experts:
        yield Advice(f"{full} That is on purpose: for {request.task} the ranks stay uniform.")
    else:
        yield Advice(f"{full} A --task, except rl, divides their rank by that.")


def _left_out(inventory: Inventory, selection: Selection) -> Iterator[Advice]:
    by_reason: dict[str, list[Module]] = {}
    for module in selection.left_out:
        if (reason := why_untrainable(module)) is not None:
            by_reason.setdefault(reason, []).append(module)
    for reason, modules in by_reason.items():
        yield Advice(f"Left out: {_names(modules)} ({len(modules)}), {reason}.")
    towers = {m.tower for m in inventory.adaptable} - set(selection.towers)
    for tower in sorted(towers & set(PERCEPTION)):
        count = sum(1 for m in inventory.adaptable if m.tower is tower)
        yield Advice(
            f"The {tower.value} tower stays frozen ({count} modules);"
            f" --tower {tower.value} adapts it."
        )


def _not_reached(selection: Selection) -> Iterator[Advice]:
    """Chosen modules that the forward pass did not reach; a routed expert may wait for its token.

    Nothing says that training does not reach them: it may come with other inputs.
    """
    missed = [
        each.module
        for each in selection.chosen
        if each.module.observed is not None
        and each.module.observed.call is Call.NOT_REACHED
        and each.module.role not in EXPERTS
    ]
    if missed:
        yield Advice(
            f"The forward pass that observed the model did not reach {_names(missed)}"
            f" ({len(missed)} of the targets): LoRA there learns only if your inputs lead there."
        )


def _written(
    request: PlanRequest, planned: Sequence[Planned], config: Mapping[str, Any]
) -> Iterator[Advice]:
    """What follows from the form that the configuration takes."""
    yield from _by_parameter(request, planned, config)
    if config["rank_pattern"] and not request.serve:
        yield from _mixed_ranks(request)
    if request.init == "eva":
        yield Advice(
            "eva: call peft.initialize_lora_eva_weights with your data before training. It deals"
            " the ranks out anew, so the counts here are those before it."
        )
    if config["modules_to_save"]:
        yield Advice(
            f"{listed(config['modules_to_save'])} is trained and saved whole. vLLM rejects adapters"
            " with saved modules."
        )
    tied = [p.module for p in planned if p.module.tied_to is not None or "tied" in p.module.hazards]
    if tied:
        yield Advice(
            f"{_names(tied)} shares its weight with another module, which this LoRA does not"
            " follow."
        )


def _by_parameter(
    request: PlanRequest, planned: Sequence[Planned], config: Mapping[str, Any]
) -> Iterator[Advice]:
    if config["target_parameters"] is not None:
        lost = f" instead of {request.dropout:g}" if request.dropout else ""
        yield Advice(
            f"lora_dropout is 0{lost}: PEFT's ParamWrapper, which adapts what target_parameters"
            " names, refuses dropout."
        )
    linears = [
        p.module for p in planned if p.is_parameter and p.module.kind is not Kind.EXPERT_PARAMETER
    ]
    if linears:
        yield Advice(
            f"{_names(linears)} outside the routed experts are named in target_parameters, because"
            " PEFT rewrites these names in target_modules to the routed experts. The LoRA is the"
            " same."
        )
    if config["target_parameters"] is not None:
        yield Advice(
            "In every forward PEFT rebuilds the whole of each weight in target_parameters, which"
            " takes time, and memory for a copy of it until the backward."
        )
        yield SERVING_ADVICE


def _mixed_ranks(request: PlanRequest) -> Iterator[Advice]:
    yield Advice(
        "Mixed ranks: PEFT, and vLLM from 0.32 on, apply rank_pattern and alpha_pattern. TGI, LoRAX"
        " and older vLLM scale everything by the global alpha/r, which is right here, alpha/r being"
        " constant; llama.cpp divides the global alpha by each tensor's rank, which is wrong here;"
        " SGLang refuses the adapter. One rank for all is read the same everywhere: --serve makes"
        " such a plan, and lorascope adapt such an adapter."
    )
    if request.rslora:
        yield Advice(
            "With rslora the scale is alpha/√r, so constant alpha/r gives the higher rank the"
            " larger scale."
        )


def _names(modules: Iterable[Module]) -> str:
    """The last parts of their names, each once."""
    names = list(dict.fromkeys(module.name for module in modules))
    return listed(names if len(names) <= 6 else [*names[:5], f"{len(names) - 5} more"])
