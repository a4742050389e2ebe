"""The memory of plans side by side, and which of them keep to a budget."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lorascope.core.errors import LorascopeError
from lorascope.core.memory import Memory
from lorascope.core.numbers import exact, size
from lorascope.core.plan import Finding, Plan
from lorascope.core.training import TrainingSetup
from lorascope.planning.fitted import OnTry, Predict, needed_bytes
from lorascope.planning.preferences import Budget

UNPREDICTED = "unpredicted"
"""Code of the finding of a row whose memory cannot be predicted."""
OVER_MEMORY = "over_memory"
"""Code of the finding of a row that needs more memory than the budget has."""
OVER_PARAMS = "over_params"
"""Code of the finding of a row that trains more parameters than the budget has."""


def with_memory(
    rows: Sequence[Plan], setup: TrainingSetup, predict: Predict, on_try: OnTry | None = None
) -> list[Plan]:
    """Return the rows with their memory; rows that are one configuration are predicted once."""
    keys = [json.dumps(dict(row.adapter_config), sort_keys=True) for row in rows]
    most = len({key for key, row in zip(keys, rows, strict=True) if row.targets})
    known: dict[str, Memory | Finding] = {}
    found: list[Plan] = []
    for key, row in zip(keys, rows, strict=True):
        if not row.targets:
            found.append(row)
            continue
        if key not in known:
            known[key] = _predicted(row, setup, predict)
            if on_try is not None:
                on_try(len(known), most)
        answer = known[key]
        if isinstance(answer, Memory):
            found.append(replace(row, memory=answer))
        else:
            found.append(replace(row, findings=(*row.findings, answer)))
    return found


def held_against(row: Plan, budget: Budget) -> Plan:
    """Return the row with a finding for each limit of the budget that it does not keep to."""
    return replace(row, findings=(*row.findings, *_over(row, budget)))


def _predicted(row: Plan, setup: TrainingSetup, predict: Predict) -> Memory | Finding:
    try:
        return predict(row, setup)
    except LorascopeError as error:
        return Finding(UNPREDICTED, "warning", row.preset, error.what, error.hint or "")


def _over(row: Plan, budget: Budget) -> Iterator[Finding]:
    most = budget.max_params
    if most is not None and row.trainable_params > most:
        yield Finding(
            OVER_PARAMS,
            "info",
            row.preset,
            f"It trains {exact(row.trainable_params)} parameters,"
            f" {exact(row.trainable_params - most)} more than --max-params.",
            "",
        )
    if row.memory is None or budget.max_memory is None:
        return
    over = needed_bytes(row.memory) - budget.max_memory
    if over > 0:
        yield Finding(
            OVER_MEMORY,
            "info",
            row.preset,
            f"It needs {size(needed_bytes(row.memory))} with the overhead, {size(over)} more than"
            " --max-memory.",
            "",
        )
