"""All presets side by side, and beside them PEFT's own default for the model type."""

from __future__ import annotations

from dataclasses import replace

from lorascope.core.errors import LorascopeError
from lorascope.core.finding import Finding
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Advice, Plan
from lorascope.core.roles import EXPERTS, PERCEPTION
from lorascope.core.spec import LoraSpec
from lorascope.core.training import TrainingSetup
from lorascope.matching import Match, match
from lorascope.matching.peft_defaults import default_targets
from lorascope.planning.compare_memory import held_against, with_memory
from lorascope.planning.fitted import OnTry, Predict
from lorascope.planning.make_plan import make_changed
from lorascope.planning.matched import plan_of_match
from lorascope.planning.preferences import Budget
from lorascope.planning.presets import PRESETS
from lorascope.planning.request import PlanRequest
from lorascope.planning.words import listed, means

PEFT_DEFAULT = "peft-default"
"""Name of the row that shows what PEFT does without `target_modules`."""
IMPOSSIBLE = "impossible"
"""Code of the finding of a row that has no plan on this model."""
SERVED = "served"
"""Code of the finding of a row that was changed for a serving engine, or is not served."""
SAME = "same"
"""Code of the finding of a row that is the same plan as one above it."""


def compare(
    inventory: Inventory,
    request: PlanRequest | None = None,
    *,
    budget: Budget | None = None,
    setup: TrainingSetup | None = None,
    predict: Predict | None = None,
    on_try: OnTry | None = None,
) -> tuple[Plan, ...]:
    """Return one plan for each preset, then one for PEFT's default, each with its memory if asked.

    The request's own preset, task and roles are left aside; its other options hold for all. A
    preset that this model cannot have is a plan without targets whose one finding says why. A
    preset that comes to the same as one before it has a finding that says so, and so has one that
    does not fit the budget, or whose memory cannot be predicted.

    Args:
        inventory: The model.
        request: What holds for all rows.
        budget: What each row is held against; nothing is traded for it.
        setup: The training step that is predicted for each row; None for no prediction.
        predict: Predicts it.
        on_try: Told after each prediction.

    Raises:
        MemoryPredictionError: The memory of no row can be predicted.
    """
    request = replace(request or PlanRequest(), preset=None, task=None, roles=())
    rows: list[Plan] = []
    for name in PRESETS:
        row = _preset_row(inventory, replace(request, preset=name))
        same = next((r for r in rows if row.targets and r.targets == row.targets), None)
        rows.append(row if same is None else _marked_same(inventory, request, row, same))
    rows.append(peft_default(inventory, request))
    if setup is not None and predict is not None:
        rows = with_memory(rows, setup, predict, on_try)
    return tuple(held_against(row, budget or Budget()) for row in rows)


def peft_default(inventory: Inventory, request: PlanRequest) -> Plan:
    """Return what PEFT adapts on this model if no targets are given, at the request's rank."""
    model_type = inventory.model.model_type
    targets = default_targets(model_type)
    if targets is None:
        return _impossible(
            inventory,
            PEFT_DEFAULT,
            f"PEFT has no default for model type {model_type}. Without target_modules it raises.",
        )
    rank = request.rank or 8
    config = {
        "peft_type": "LORA",
        "task_type": inventory.model.task_type,
        "base_model_name_or_path": inventory.model.base_model,
        "r": rank,
        "lora_alpha": request.alpha or 2 * rank,
        "target_modules": targets,
        "bias": request.bias,
        "use_rslora": request.rslora,
        "use_dora": request.dora,
    }
    try:
        found = match(inventory, LoraSpec.from_dict(config), peft_version=request.peft_version)
    except LorascopeError as error:
        return _impossible(
            inventory, PEFT_DEFAULT, f"PEFT refuses its own default here: {error.what}", error.hint
        )
    plan = plan_of_match(inventory, PEFT_DEFAULT, config, found, _reaches(inventory, found))
    why = _not_served(inventory, found, request)
    return _marked(plan, f"Not served as trained by {why}") if why else plan


def _not_served(inventory: Inventory, found: Match, request: PlanRequest) -> str:
    if not request.engines:
        return ""
    from lorascope.planning.serving import not_served

    return not_served(inventory, found, request.engines)


def _preset_row(inventory: Inventory, request: PlanRequest) -> Plan:
    try:
        plan, changes = make_changed(inventory, request)
    except LorascopeError as error:
        return _impossible(inventory, request.preset_name, error.what, error.hint)
    return _marked(plan, *(each.text for each in changes))


def _marked(plan: Plan, *texts: str) -> Plan:
    """Say what was changed for serving engines, or that they do not serve it."""
    found = (Finding(SERVED, "info", plan.preset, text, "") for text in texts)
    return replace(plan, findings=(*plan.findings, *found))


def _marked_same(inventory: Inventory, request: PlanRequest, row: Plan, same: Plan) -> Plan:
    """Say of a row that it is the same plan as another, and which of its roles are experts."""
    words = PRESETS[row.preset].words
    adapted = {target.path for target in row.targets}
    left = [m for m in inventory.adaptable if m.role in EXPERTS and m.path not in adapted]
    routed = [word for word in words if any(means(word, m) for m in left)]
    is_open = request.experts is None and not request.engines
    why = f" {listed(routed)} are routed experts here." if routed and is_open else ""
    finding = Finding(
        SAME,
        "info",
        row.preset,
        f"On this model it adapts the same as {same.preset}, at the same ranks.{why}",
        "Include the routed experts with --experts." if why else "",
    )
    return replace(row, findings=(*row.findings, finding))


def _impossible(inventory: Inventory, name: str, message: str, hint: str | None = None) -> Plan:
    finding = Finding(IMPOSSIBLE, "info", name, message, hint or "")
    return Plan(inventory.model, name, {}, (), (), 0, 0, 0, findings=(finding,))


def _reaches(inventory: Inventory, found: Match) -> tuple[Advice, ...]:
    """Say which towers PEFT's default reaches that presets leave alone."""
    modules = inventory.by_path
    towers = {module.tower for each in found.targets if (module := modules.get(each.path))}
    return tuple(
        Advice(f"PEFT's default also reaches the {tower.value} tower.")
        for tower in sorted(towers & set(PERCEPTION) - set(inventory.model.main_towers))
    )
