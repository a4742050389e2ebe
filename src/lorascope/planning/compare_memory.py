"""The memory of plans side by side, and which of them keep to a budget."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from lorascope.core.errors import LorascopeError, MemoryPredictionError
from lorascope.core.finding import Finding
from lorascope.core.memory import Memory
from lorascope.core.numbers import exact, size
from lorascope.core.plan import Plan
from lorascope.core.training import TrainingSetup
from lorascope.planning.fitted import OnTry, Predict, needed_bytes
from lorascope.planning.preferences import Budget

UNPREDICTED = "unpredicted"
"""Code of the finding of a row whose memory cannot be predicted."""
OVER_MEMORY = "over_memory"
"""Code of the finding of a row that needs more memory than the budget has."""
OVER_PARAMS = "over_params"
"""Code of the finding of a row that trains more parameters than the budget has."""
_NOT_TRIED = "Those after the first of these were not tried."


def with_memory(
    rows: Sequence[Plan], setup: TrainingSetup, predict: Predict, on_try: OnTry | None = None
) -> list[Plan]:
    """Return the rows with their memory, or with a finding that says why there is none.

    Rows that are one configuration are predicted once. After a prediction that was cut for its
    time no further one is made. Rows that fail alike share one finding, which names them all.

    Raises:
        MemoryPredictionError: No row at all can be predicted, so that it is the model's doing.
    """
    keys = [json.dumps(dict(row.adapter_config), sort_keys=True) for row in rows]
    most = len({key for key, row in zip(keys, rows, strict=True) if row.targets})
    known: dict[str, Memory | LorascopeError] = {}
    cut: MemoryPredictionError | None = None
    for key, row in zip(keys, rows, strict=True):
        if not row.targets or key in known:
            continue
        known[key] = cut or _predicted(row, setup, predict)
        cut = cut or _cut(known[key])
        if on_try is not None:
            on_try(len(known), most)
    errors = [answer for answer in known.values() if isinstance(answer, LorascopeError)]
    if errors and len(errors) == len(known):
        raise errors[0]
    answers = [known.get(key) for key in keys]
    findings = _findings(rows, answers)
    return [_answered(row, each, findings) for row, each in zip(rows, answers, strict=True)]


def held_against(row: Plan, budget: Budget) -> Plan:
    """Return the row with a finding for each limit of the budget that it does not keep to."""
    return replace(row, findings=(*row.findings, *_over(row, budget)))


def _predicted(row: Plan, setup: TrainingSetup, predict: Predict) -> Memory | LorascopeError:
    try:
        return predict(row, setup)
    except LorascopeError as error:
        return error


def _cut(answer: Memory | LorascopeError) -> MemoryPredictionError | None:
    """Return the error of a prediction that was cut for its time: the next would take as long."""
    if isinstance(answer, MemoryPredictionError) and answer.is_timeout:
        return answer
    return None


def _findings(
    rows: Sequence[Plan], answers: Sequence[Memory | LorascopeError | None]
) -> Mapping[str, Finding]:
    """Return one finding for each message of an error, with all presets that it holds for."""
    presets: dict[str, list[str]] = {}
    hints: dict[str, str] = {}
    for row, answer in zip(rows, answers, strict=True):
        if isinstance(answer, LorascopeError):
            presets.setdefault(answer.what, []).append(row.preset)
            hints[answer.what] = " ".join(
                (answer.hint or "", _NOT_TRIED if _cut(answer) else "")
            ).strip()
    return {
        what: Finding(UNPREDICTED, "warning", ", ".join(names), what, hints[what])
        for what, names in presets.items()
    }


def _answered(
    row: Plan, answer: Memory | LorascopeError | None, findings: Mapping[str, Finding]
) -> Plan:
    if answer is None:
        return row
    if isinstance(answer, Memory):
        return replace(row, memory=answer)
    return replace(row, findings=(*row.findings, findings[answer.what]))


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
