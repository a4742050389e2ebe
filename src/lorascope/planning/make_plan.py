"""Work a request out for one model: targets, ranks, counts, advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lorascope.core.errors import LorascopeError, PlanError, SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan, Target
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching import Match, match
from lorascope.planning.advice import advise
from lorascope.planning.budget import largest_unit, lora_params, params_per_rank
from lorascope.planning.config import adapter_config
from lorascope.planning.counts import covered_params
from lorascope.planning.file_size import safetensors_bytes
from lorascope.planning.heads import saved_heads
from lorascope.planning.presets import ALPHA_PER_RANK, PRESETS
from lorascope.planning.request import PlanRequest
from lorascope.planning.scales import Scale, Scaled, ScaleFields, scale_fields
from lorascope.planning.selection import RankRule, Selection, check_filters, select
from lorascope.planning.targets import Planned, TargetFields, candidates, planned
from lorascope.planning.tensors import Adapted, adapter_tensors


def make_plan(inventory: Inventory, request: PlanRequest | None = None) -> Plan:
    """Return the plan that a request means on one model.

    What it hits is exact by construction: each way of writing the targets is read back by
    `lorascope.matching`, and the first that gives the planned modules, ranks and alphas is taken.

    Args:
        inventory: The model.
        request: What is asked; the default preset if None.

    Raises:
        PlanError: The model has no such roles, an option names what it does not have, PEFT takes
            no such combination, or nothing fits `max_params`.
    """
    request = request or PlanRequest()
    check_filters(inventory, request)
    selection = select(inventory, request)
    wanted = tuple(planned(each.module, inventory) for each in selection.chosen)
    _refuse_what_parameters_lack(request, wanted)
    _refuse_what_conv1d_lacks(request, wanted)
    saved = saved_heads(inventory)
    unit = selection.unit
    fields, found = _first_exact(inventory, request, selection, wanted, saved, unit)
    if request.max_params is not None:
        unit = _unit_within(inventory, request, selection, found.trainable_params)
        scales = _scales(request, selection, wanted, unit)
        config = adapter_config(inventory, request, fields, scales, saved, wanted)
        found = match(inventory, LoraSpec.from_dict(config), peft_version=request.peft_version)
    else:
        scales = _scales(request, selection, wanted, unit)
        config = adapter_config(inventory, request, fields, scales, saved, wanted)
    _check_ranks(request, selection, unit)
    return _plan(inventory, request, selection, wanted, config, found, unit)


def _plan(
    inventory: Inventory,
    request: PlanRequest,
    selection: Selection,
    wanted: Sequence[Planned],
    config: Mapping[str, Any],
    found: Match,
    unit: int,
) -> Plan:
    adapted = [
        Adapted(each.module, chosen.rule.rank(unit), each.is_parameter)
        for each, chosen in zip(wanted, selection.chosen, strict=True)
    ]
    saved = tuple(each.path for each in found.saved)
    counts = {each.path: each.params for each in found.targets}
    alphas = {each.path: each.alpha for each in found.targets}
    return Plan(
        model=inventory.model,
        preset=selection.name,
        adapter_config=config,
        targets=tuple(
            Target(
                path=each.module.path,
                role=each.module.role,
                tower=each.module.tower,
                layer=each.module.layer,
                rank=one.rank,
                alpha=alphas[each.name],
                params=counts[each.name],
            )
            for each, one in zip(wanted, adapted, strict=True)
        ),
        saved_modules=saved,
        trainable_params=found.trainable_params,
        adapter_bytes=safetensors_bytes(
            adapter_tensors(inventory, adapted, saved, config, found.peft_version)
        ),
        covered_params=covered_params(each.module for each in wanted),
        advice=advise(inventory, request, selection, wanted, config),
    )


def _first_exact(
    inventory: Inventory,
    request: PlanRequest,
    selection: Selection,
    wanted: tuple[Planned, ...],
    saved: tuple[str, ...],
    unit: int,
) -> tuple[TargetFields, Match]:
    """The first way to write the targets that reads back as exactly the plan."""
    scales = _scales(request, selection, wanted, unit)
    expected = {
        each.name: _scale(request, selection, chosen.rule, unit)
        for each, chosen in zip(wanted, selection.chosen, strict=True)
    }
    refusal: LorascopeError | None = None
    for fields in candidates(inventory, wanted, saved):
        config = adapter_config(inventory, request, fields, scales, saved, wanted)
        try:
            found = match(inventory, LoraSpec.from_dict(config), peft_version=request.peft_version)
        except SpecificationError as error:
            refusal = error
            continue
        if {each.path: Scale(each.rank, each.alpha) for each in found.targets} == expected:
            return fields, found
    if refusal is not None:
        raise PlanError(f"PEFT refuses this plan: {refusal.what}", refusal.hint) from refusal
    raise PlanError(
        f"No target list hits exactly the {len(wanted)} modules that this plan means.",
        "Narrow it with --layers or --exclude, or name other --roles.",
    )


def _scales(
    request: PlanRequest, selection: Selection, wanted: Sequence[Planned], unit: int
) -> ScaleFields:
    targets = [
        Scaled(each.name, _scale(request, selection, chosen.rule, unit), each.is_parameter)
        for each, chosen in zip(wanted, selection.chosen, strict=True)
    ]
    return scale_fields(targets, _scale(request, selection, selection.main, unit))


def _scale(request: PlanRequest, selection: Selection, rule: RankRule, unit: int) -> Scale:
    """Rank by the rule; alpha so that alpha/r is the main targets'."""
    rank, main = rule.rank(unit), selection.main.rank(unit)
    if request.alpha is None:
        return Scale(rank, ALPHA_PER_RANK * rank)
    alpha = request.alpha * rank / main
    return Scale(rank, int(alpha) if alpha == int(alpha) else alpha)


def _unit_within(
    inventory: Inventory, request: PlanRequest, selection: Selection, trainable: int
) -> int:
    """The largest unit under `max_params`.

    Raises:
        PlanError: Even the smallest is too large.
    """
    limit = request.max_params or 0
    slopes = params_per_rank(selection.chosen)
    fixed = trainable - lora_params(slopes, selection.unit)
    step = 2 if request.init == "orthogonal" else 1
    unit = largest_unit(slopes, fixed, limit, step)
    if unit:
        return unit
    least = fixed + lora_params(slopes, step)
    raise PlanError(
        f"--max-params {limit:,}: {selection.name} has {least:,} trainable parameters at its"
        f" lowest rank, {least - limit:,} too many.",
        _cheaper(inventory, request, limit, fixed, least),
    )


def _cheaper(
    inventory: Inventory, request: PlanRequest, limit: int, fixed: int, least: int
) -> str | None:
    """The dearest preset that fits, else the cheapest of all."""
    sizes: dict[str, int] = {}
    for name in PRESETS:
        other = PlanRequest(
            preset=name, layers=request.layers, exclude=request.exclude, towers=request.towers
        )
        try:
            chosen = select(inventory, other).chosen
        except PlanError:
            continue
        sizes[name] = fixed + lora_params(params_per_rank(chosen), 1)
    fitting = {name: size for name, size in sizes.items() if size <= limit}
    if fitting:
        name = max(fitting, key=lambda each: fitting[each])
        return f"--preset {name} fits: {fitting[name]:,} at rank {PRESETS[name].shares[0].weight}."
    cheaper = {name: size for name, size in sizes.items() if size < least}
    if cheaper:
        name = min(cheaper, key=lambda each: cheaper[each])
        return f"The cheapest preset is {name}: {cheaper[name]:,} at its lowest rank."
    return "No preset is cheaper; fewer --layers are."


def _check_ranks(request: PlanRequest, selection: Selection, unit: int) -> None:
    """Refuse ranks for which an initialization from the weights has no matrices.

    Raises:
        PlanError: A rank is odd or larger than a weight's smaller side.
    """
    if request.init in (True, False, "gaussian"):
        return
    for chosen in selection.chosen:
        module, rank = chosen.module, chosen.rule.rank(unit)
        most = min(module.in_features or 0, module.out_features or 0)
        if rank > most or (request.init == "orthogonal" and rank % 2):
            expected = "an even rank of " if request.init == "orthogonal" else ""
            raise PlanError(
                f"--init {request.init}: {module.path} would get rank {rank}; expected {expected}"
                f"at most {most}."
            )


def _refuse_what_parameters_lack(request: PlanRequest, wanted: Sequence[Planned]) -> None:
    """PEFT's `ParamWrapper` takes neither DoRA nor an initialization from the weights.

    Raises:
        PlanError: Such an option is asked for a plan that needs `target_parameters`.
    """
    first = next((each for each in wanted if each.is_parameter), None)
    if first is None or not (request.dora or request.init not in (True, False, "gaussian")):
        return
    option = "--dora" if request.dora else f"--init {request.init}"
    raise PlanError(
        f"{option}: PEFT does not take it for {first.name}, which can only be adapted through"
        " target_parameters.",
        "Drop the option, leave the experts out with --no-experts, or use --preset attention.",
    )


def _refuse_what_conv1d_lacks(request: PlanRequest, wanted: Sequence[Planned]) -> None:
    """PEFT's DoRA on OLoRA fails on a transposed weight.

    Raises:
        PlanError: Both are asked for a plan that has one.
    """
    first = next((each for each in wanted if each.module.kind is Kind.CONV1D), None)
    if first is not None and request.dora and request.init == "olora":
        raise PlanError(
            f"--init olora with --dora: PEFT fails on {first.name}, which is a Conv1D.",
            "Drop one of the two.",
        )
