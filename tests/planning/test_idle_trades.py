"""A trade that the setup has made already is told, or refused where it is the only one."""

from __future__ import annotations

import pytest
from priced_models import Model

from builders import llama
from lorascope.core.errors import PlanError
from lorascope.core.training import TrainingSetup
from lorascope.planning import Budget, work_out

MADE = [
    ("checkpointing", {"gradient_checkpointing": True}, "gradient checkpointing is on already"),
    ("batch", {"batch_size": 1}, "the batch is 1 already"),
    ("quantization", {"quantization": "nf4"}, "the base model is nf4 already"),
]


def _texts(trade: tuple[str, ...], setup: TrainingSetup, scores: dict[str, float] | None) -> str:
    found = work_out(
        llama(2), budget=Budget(10**12, None, trade), setup=setup, predict=Model(), scores=scores
    )
    return " ".join(advice.text for advice in found.plan.advice)


@pytest.mark.parametrize(("trade", "made", "why"), MADE)
def test_a_trade_that_is_made_already_is_told(
    trade: str, made: dict[str, object], why: str
) -> None:
    setup = TrainingSetup(**made)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match=f"--trade {trade} leaves nothing to trade: {why}"):
        _texts((trade,), setup, None)
    for scores in (None, {"q": 1.0}):
        others = ("roles",) if scores else ("rank",)
        assert why in _texts((trade, *others), setup, scores)


def test_what_may_still_be_traded_is_not_told_of() -> None:
    setup = TrainingSetup(batch_size=2, quantization="int8")
    text = _texts(("checkpointing", "batch", "quantization"), setup, None)
    assert "already" not in text
