"""Comparisons of which some or all predictions fail."""

from __future__ import annotations

import pytest
from priced_models import Model

from builders import llama
from lorascope.core.errors import MemoryPredictionError
from lorascope.core.finding import Finding
from lorascope.core.memory import Memory
from lorascope.core.plan import Plan
from lorascope.core.training import TrainingSetup
from lorascope.planning import compare
from lorascope.planning.compare_memory import UNPREDICTED

KNOWN = llama(2)
SETUP = TrainingSetup()


class _CutError(MemoryPredictionError):
    is_timeout = True


def _failing(presets: set[str], error: MemoryPredictionError, tried: list[str]) -> list[Plan]:
    model = Model()

    def predict(plan: Plan, setup: TrainingSetup) -> Memory:
        tried.append(plan.preset)
        if plan.preset in presets:
            raise error
        return model(plan, setup)

    return list(compare(KNOWN, setup=SETUP, predict=predict))


def _unpredicted(rows: list[Plan]) -> dict[str, Finding]:
    return {r.preset: f for r in rows for f in r.findings if f.code == UNPREDICTED}


def test_presets_that_fail_alike_share_one_finding() -> None:
    tried: list[str] = []
    rows = _failing({"attention", "ffn"}, MemoryPredictionError("It fails."), tried)
    found = _unpredicted(rows)
    assert set(found) == {"attention", "ffn"}
    assert found["attention"] == found["ffn"]
    assert found["ffn"].entry == "attention, ffn"
    assert {row.preset for row in rows if row.memory is None} == {"attention", "ffn"}


def test_nothing_is_predicted_after_a_time_out() -> None:
    tried: list[str] = []
    rows = _failing({"attention"}, _CutError("Cut after 120 s.", "Fewer tokens."), tried)
    assert tried == ["qv", "attention"]
    found = _unpredicted(rows)
    assert {"attention", "extended", "ffn", "vod", "all-linear"} <= set(found)
    assert len(set(found.values())) == 1
    assert "Those after the first of these were not tried." in found["ffn"].hint


@pytest.mark.parametrize("error", [MemoryPredictionError("It fails."), _CutError("Cut.")])
def test_where_no_preset_can_be_predicted_the_comparison_fails(
    error: MemoryPredictionError,
) -> None:
    everything = {"qv", "attention", "extended", "ffn", "vod", "all-linear", "peft-default"}
    tried: list[str] = []
    with pytest.raises(MemoryPredictionError) as caught:
        _failing(everything, error, tried)
    assert caught.value is error
    assert (len(tried) == 1) == error.is_timeout
