"""What adding or dropping one role, dropout or checkpointing does to the memory of this step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lorascope.core.errors import LorascopeError
from lorascope.core.memory import Memory, MemoryFact
from lorascope.core.numbers import plain, size
from lorascope.core.roles import ROUTERS, Role
from lorascope.planning import PlanRequest, make_plan

if TYPE_CHECKING:
    from lorascope.core.inventory import Inventory
    from lorascope.core.plan import Plan
    from lorascope.core.training import TrainingSetup
    from lorascope.memory.predictor import Predictor

NEXT_TO_NOTHING = 0.01
"""Share of the peak up to which a difference is called next to nothing."""
_GROUPS = ("attention", "ffn", "moe", "ssm", "linear_attention")
_ABOUT = 1.1
"""Allows for the allocator's rounding."""
_BYTES = {"fp32": 4, "bf16": 2}


def facts_for(
    predictor: Predictor,
    inventory: Inventory,
    request: PlanRequest,
    plan: Plan,
    setup: TrainingSetup,
) -> tuple[MemoryFact, ...]:
    """Predict the step again with one thing changed at a time, and say what that changes.

    Each role of the main towers is dropped if the plan adapts it and added if it does not, at
    the plan's rank; the dropout is left out if there is one; checkpointing is turned on or off.
    What cannot be planned or predicted gives no fact.

    Args:
        predictor: Of the model that `inventory` lists.
        inventory: Says which roles there are.
        request: What `plan` was made from.
        plan: Where the changes start; predicted anew if it holds no prediction for `setup`.
        setup: How the step is run.
    """
    now = plan.memory
    if now is None or now.setup != setup:
        now = predictor.predict(plan, setup)
    base = _Base(predictor, inventory, request, plan, now)
    return (*base.roles(), *base.dropout(), *base.checkpointing())


@dataclass(frozen=True, slots=True)
class _Base:
    """The step from which each change starts."""

    predictor: Predictor
    inventory: Inventory
    request: PlanRequest
    plan: Plan
    now: Memory

    def roles(self) -> Iterator[MemoryFact]:
        ranks = {target.role: target.rank for target in reversed(self.plan.targets)}
        for role in _roles_of(self.inventory):
            others = {each: rank for each, rank in ranks.items() if each is not role}
            is_added = role not in ranks
            if is_added:
                others[role] = self.plan.adapter_config["r"]
            plan = self._with_roles(others) if others else None
            then = None if plan is None else plan.memory
            if plan is None or then is None:
                continue
            if is_added:
                text = _added(role, self.now, then, self._own(role, plan))
            else:
                text = _dropped(role, self.now, then, self._own(role, self.plan))
            change = f"{'with' if is_added else 'without'} {role}"
            yield _fact(change, role, self.now, then, text)

    def dropout(self) -> Iterator[MemoryFact]:
        dropout = self.plan.adapter_config["lora_dropout"]
        if not dropout:
            return
        plan = self._predicted(replace(self.request, dropout=0.0), self.now.setup)
        then = None if plan is None else plan.memory
        if then is not None:
            cost = self.now.peak_bytes - then.peak_bytes
            text = f"Dropout {plain(dropout)} costs {_at_peak(cost)}, {_kept(then, self.now)}."
            yield _fact("dropout 0", None, self.now, then, text)

    def checkpointing(self) -> Iterator[MemoryFact]:
        is_on = self.now.setup.gradient_checkpointing
        setup = replace(self.now.setup, gradient_checkpointing=not is_on)
        plan = self._predicted(self.request, setup)
        then = None if plan is None else plan.memory
        if then is not None:
            saving = abs(self.now.peak_bytes - then.peak_bytes)
            verb = "saves" if is_on else "would save"
            more, less = (then, self.now) if is_on else (self.now, then)
            text = f"Gradient checkpointing {verb} {_at_peak(saving)}, {_kept(less, more)}."
            if less.peak_bytes > more.peak_bytes:
                text = f"Gradient checkpointing {verb} nothing at the peak."
            change = f"{'without' if is_on else 'with'} gradient checkpointing"
            yield _fact(change, None, self.now, then, text)

    def _with_roles(self, ranks: Mapping[Role, int]) -> Plan | None:
        config = self.plan.adapter_config
        try:
            request = replace(
                self.request,
                preset=None,
                roles={role.value: rank for role, rank in ranks.items()},
                rank=config["r"],
                max_params=None,
                dropout=config["lora_dropout"],
            )
        except LorascopeError:
            return None
        return self._predicted(request, self.now.setup)

    def _predicted(self, request: PlanRequest, setup: TrainingSetup) -> Plan | None:
        """Return the plan with its prediction; None if there is no such plan or prediction."""
        try:
            plan = make_plan(self.inventory, request)
            return replace(plan, memory=self.predictor.predict(plan, setup))
        except LorascopeError:
            return None

    def _own(self, role: Role, plan: Plan) -> int:
        """Bytes of the inner activations of a role's adapters: rank numbers a token each."""
        ranks = sum(target.rank for target in plan.targets if target.role is role)
        return ranks * _BYTES[self.now.setup.adapter_dtype] * self.now.setup.tokens


def _roles_of(inventory: Inventory) -> tuple[Role, ...]:
    towers = inventory.model.main_towers
    found = dict.fromkeys(
        module.role
        for module in inventory.adaptable
        if module.tower in towers
        and module.role.group in _GROUPS
        and module.role not in ROUTERS
        and not module.hazards
    )
    return tuple(found)


def _fact(change: str, role: Role | None, now: Memory, then: Memory, text: str) -> MemoryFact:
    return MemoryFact(
        change,
        role,
        peak_bytes=then.peak_bytes - now.peak_bytes,
        kept_bytes=then.kept_bytes - now.kept_bytes,
        text=text,
    )


def _added(role: Role, now: Memory, then: Memory, own: int) -> str:
    cost = then.peak_bytes - now.peak_bytes
    kept = then.kept_bytes - now.kept_bytes
    if not kept:
        return f"Adding {role} keeps no activation: {_at_peak(cost)}."
    if kept <= _ABOUT * own:
        return (
            f"Adding {role} keeps no activation beyond its rank: {_at_peak(cost)},"
            f" {_kept(now, then)}."
        )
    if abs(cost) <= NEXT_TO_NOTHING * now.peak_bytes:
        return f"Adding {role} costs next to nothing: {_at_peak(cost)}, {_kept(now, then)}."
    return f"Adding {role} costs {_at_peak(cost)}, {_kept(now, then)}."


def _dropped(role: Role, now: Memory, then: Memory, own: int) -> str:
    saving = now.peak_bytes - then.peak_bytes
    kept = now.kept_bytes - then.kept_bytes
    if not kept:
        return f"Dropping {role} frees no activation: {_at_peak(saving)}."
    if kept <= _ABOUT * own:
        return (
            f"Dropping {role} frees no activation beyond its rank: {_at_peak(saving)},"
            f" {_kept(then, now)}."
        )
    if abs(saving) <= NEXT_TO_NOTHING * now.peak_bytes:
        return f"Dropping {role} saves next to nothing: {_at_peak(saving)}, {_kept(then, now)}."
    return f"Dropping {role} saves {_at_peak(saving)}, {_kept(then, now)}."


def _at_peak(difference: int) -> str:
    return f"{_signed(difference)} at the peak"


def _kept(less: Memory, more: Memory) -> str:
    """Difference of what is kept for the backward pass, a token."""
    return f"{_signed((more.kept_bytes - less.kept_bytes) // less.setup.tokens)} a token kept"


def _signed(difference: int) -> str:
    return f"−{size(-difference)}" if difference < 0 else size(difference)
