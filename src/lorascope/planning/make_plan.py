"""Work a request out for one model: targets, ranks, counts, advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lorascope.core.errors import LorascopeError, PlanError, SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Advice, Plan
from lorascope.core.spec import LoraSpec
from lorascope.matching import Match, match
from lorascope.planning.advice import advise
from lorascope.planning.budget import unit_within
from lorascope.planning.config import adapter_config
from lorascope.planning.disagreeing import disagreeing
from lorascope.planning.heads import saved_heads
from lorascope.planning.limits import check_kinds, check_ranks
from lorascope.planning.matched import plan_of_match
from lorascope.planning.presets import ALPHA_PER_RANK
from lorascope.planning.request import PlanRequest
from lorascope.planning.scales import Scale, Scaled, scale_fields
from lorascope.planning.selection import RankRule, Selection, check_filters, select
from lorascope.planning.targets import Planned, TargetFields, candidates, planned


def make_plan(inventory: Inventory, request: PlanRequest | None = None) -> Plan:
    """Return the plan that a request means on one model.

    What it hits is exact by construction: each way of writing the targets is read back by
    `lorascope.matching`, and the first that gives the planned modules, ranks and alphas is taken.

    Args:
        inventory: The model.
        request: What is asked; the default preset if None.

    Raises:
        PlanError: The model has no such roles, an option names what it does not have, PEFT takes
            no such combination, nothing fits `max_params`, or an engine of `serve` does not serve
            it as it is trained.
    """
    return make_changed(inventory, request or PlanRequest())[0]


def make_changed(inventory: Inventory, request: PlanRequest) -> tuple[Plan, tuple[Advice, ...]]:
    """Return the plan that a request means, and what was changed in it for serving engines.

    Raises:
        PlanError: As `make_plan`.
    """
    if request.engines:
        from lorascope.planning.serving import served

        found = served(inventory, request, _made)
        return found.plan, found.changes
    return _made(inventory, request)[0], ()


def _made(inventory: Inventory, request: PlanRequest) -> tuple[Plan, Match]:
    """Work a request out, serving engines aside."""
    check_filters(inventory, request)
    selection = select(inventory, request)
    wanted = tuple(planned(each.module, inventory) for each in selection.chosen)
    check_kinds(request, wanted)
    draft = _Draft(inventory, request, selection, wanted, saved_heads(inventory))
    unit = selection.unit
    config, found = draft.first_exact(unit)
    if request.max_params is not None:
        unit = unit_within(inventory, request, selection, found.trainable_params)
        config, found = draft.first_exact(unit)
    check_ranks(request, selection, unit)
    advice = advise(inventory, request, selection, wanted, config)
    plan = plan_of_match(inventory, selection.name, config, found, advice)
    return replace(plan, findings=(*plan.findings, *disagreeing(inventory))), found


@dataclass(frozen=True, slots=True)
class _Draft:
    """A request worked out for one model, before ranks are fixed and PEFT's fields written."""

    inventory: Inventory
    request: PlanRequest
    selection: Selection
    wanted: tuple[Planned, ...]
    """One for each of the selection's chosen modules, in the same order."""
    saved: tuple[str, ...]
    """Paths of modules saved whole."""

    def first_exact(self, unit: int) -> tuple[Mapping[str, Any], Match]:
        """The first configuration that reads back as exactly the plan at this unit."""
        expected = self._scales(unit)
        refusal: LorascopeError | None = None
        for fields in candidates(self.inventory, self.wanted, self.saved):
            if self.request.listed and isinstance(fields.target_modules, str):
                continue
            config = self._config(fields, unit)
            try:
                found = match(
                    self.inventory,
                    LoraSpec.from_dict(config),
                    peft_version=self.request.peft_version,
                )
            except SpecificationError as error:
                refusal = error
                continue
            if {each.path: Scale(each.rank, each.alpha) for each in found.targets} == expected:
                return config, found
        if refusal is not None:
            raise PlanError(f"PEFT refuses this plan: {refusal.what}", refusal.hint) from refusal
        raise PlanError(
            f"No target list hits exactly the {len(self.wanted)} modules that this plan means.",
            "Narrow it with --layers or --exclude, or name other --roles.",
        )

    def _config(self, fields: TargetFields, unit: int) -> dict[str, Any]:
        scales = self._scales(unit)
        targets = [Scaled(each.name, scales[each.name], each.is_parameter) for each in self.wanted]
        written = scale_fields(targets, self._scale(self.selection.main, unit))
        return adapter_config(
            self.inventory, self.request, fields, written, self.saved, self.wanted
        )

    def _scales(self, unit: int) -> dict[str, Scale]:
        """Scale by the name that PEFT matches."""
        return {
            each.name: self._scale(chosen.rule, unit)
            for each, chosen in zip(self.wanted, self.selection.chosen, strict=True)
        }

    def _scale(self, rule: RankRule, unit: int) -> Scale:
        """Rank by the rule; alpha so that alpha/r is the main targets'."""
        rank, main = rule.rank(unit), self.selection.main.rank(unit)
        if self.request.alpha is None:
            return Scale(rank, ALPHA_PER_RANK * rank)
        alpha = self.request.alpha * rank / main
        return Scale(rank, int(alpha) if alpha == int(alpha) else alpha)
