"""A plan made to fit the memory of a device gives up least, and says what and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from priced_models import Model, Predict, memory, scrambled

from builders import llama, mixture
from lorascope.core.errors import MemoryPredictionError, PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.memory import Memory
from lorascope.core.plan import Plan
from lorascope.core.training import TrainingSetup
from lorascope.planning import TRADES, Budget, Fitted, PlanRequest, make_plan
from lorascope.planning.fit import fit
from lorascope.planning.fitted import needed_bytes
from lorascope.planning.preferences import GROUNDS

KNOWN = llama(2)
NAMES_LEFT = {
    "all-linear": (
        "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj",
        "q_proj v_proj o_proj gate_proj up_proj down_proj",
        "q_proj v_proj o_proj gate_proj up_proj",
        "v_proj o_proj gate_proj up_proj",
        "v_proj o_proj",
    ),
    "qv": ("q_proj v_proj", "v_proj"),
    "ffn": ("gate_proj up_proj down_proj", "gate_proj up_proj"),
}
"""Which names are left as roles are dropped, in order."""


@cache
def _plan(preset: str, rank: int, names: str) -> Plan:
    only = [m.path for m in KNOWN.adaptable if m.name in names.split()]
    return make_plan(KNOWN, PlanRequest(preset=preset, rank=rank, only=only))


def _candidates(
    preset: str, rank: int, setup: TrainingSetup, trades: Sequence[str]
) -> Iterator[tuple[Plan, TrainingSetup]]:
    """All candidates in order of what they give up, written down apart from the code under test."""
    names = NAMES_LEFT[preset] if "roles" in trades else NAMES_LEFT[preset][:1]
    ranks = range(rank, 0, -1) if "rank" in trades else (rank,)
    batches = [
        b
        for b in range(setup.batch_size, 0, -1)
        if b == setup.batch_size or ("batch" in trades and setup.batch_size % b == 0)
    ]
    quantizations = ("none", "nf4") if "quantization" in trades else ("none",)
    checkpointings = (False, True) if "checkpointing" in trades else (False,)
    for left, quantization, each, batch, checkpointing in product(
        names, quantizations, ranks, batches, checkpointings
    ):
        yield (
            _plan(preset, each, left),
            replace(
                setup,
                quantization=quantization,
                batch_size=batch,
                accumulation=setup.batch_size // batch,
                gradient_checkpointing=checkpointing,
            ),
        )


def _brute_force(
    preset: str,
    rank: int,
    setup: TrainingSetup,
    trades: Sequence[str],
    predict: Predict,
    limit: int,
) -> tuple[Plan, TrainingSetup] | None:
    for plan, changed in _candidates(preset, rank, setup, trades):
        if needed_bytes(predict(plan, changed)) <= limit:
            return plan, changed
    return None


def _fit(limit: int, predict: Predict, known: Inventory = KNOWN, **options: Any) -> Fitted:
    trade = options.pop("trade", None)
    max_params = options.pop("max_params", None)
    setup = options.pop("setup", TrainingSetup(batch_size=8))
    return fit(known, PlanRequest(**options), Budget(limit, max_params, trade), setup, predict)


def _needed(found: Fitted) -> int:
    assert found.plan.memory is not None
    return needed_bytes(found.plan.memory)


MODELS = st.builds(
    Model,
    base=st.sampled_from([0, 10_000, 200_000]),
    per_param=st.integers(0, 40),
    per_module=st.integers(0, 2_000),
    per_sequence=st.integers(0, 10_000),
    # More than 1: checkpointing or quantizing may also cost memory.
    checkpointed=st.sampled_from([0.1, 0.5, 1.0, 1.5]),
    quantized=st.sampled_from([0.3, 1.0, 1.2]),
    overhead=st.sampled_from([0, 5_000]),
)
TRADED = st.sets(st.sampled_from(TRADES)).map(tuple)


@settings(deadline=None, max_examples=40)
@given(MODELS, st.data(), st.sampled_from(sorted(NAMES_LEFT)), TRADED, st.integers(1, 5))
def test_the_answer_is_that_of_trying_every_candidate(
    model: Model, data: st.DataObject, preset: str, trades: tuple[str, ...], rank: int
) -> None:
    setup = TrainingSetup(batch_size=6)
    needs = [needed_bytes(model(*each)) for each in _candidates(preset, rank, setup, TRADES)]
    limit = max(1, data.draw(st.sampled_from(sorted(set(needs)))) - data.draw(st.integers(0, 1)))
    expected = _brute_force(preset, rank, setup, trades, model, limit)
    model.asked.clear()
    options: dict[str, Any] = {"preset": preset, "rank": rank, "trade": trades, "setup": setup}
    if expected is None:
        with pytest.raises(PlanError, match="nothing fits"):
            _fit(limit, model, **options)
        return
    found = _fit(limit, model, **options)
    assert (found.plan.targets, found.setup) == (expected[0].targets, expected[1])
    assert found.plan.memory == model(*expected)
    assert found.setup is not None
    assert found.accumulation * found.setup.batch_size == 6


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 1000), TRADED)
def test_what_is_found_fits_even_where_memory_follows_no_law(
    salt: int, limit: int, trades: tuple[str, ...]
) -> None:
    predict = scrambled(salt)
    setup = TrainingSetup(batch_size=6)
    try:
        found = _fit(limit, predict, preset="all-linear", rank=4, trade=trades, setup=setup)
    except PlanError:
        return
    assert _needed(found) <= limit
    if not {"rank", "batch"} & set(trades):
        # Nothing is taken for granted of the other trades.
        expected = _brute_force("all-linear", 4, setup, trades, predict, limit)
        assert expected is not None
        assert (found.plan.targets, found.setup) == (expected[0].targets, expected[1])


def test_a_plan_that_fits_stays_as_asked_after_one_prediction() -> None:
    model = Model()
    found = _fit(10**9, model)
    assert len(model.asked) == len(found.tried) == 1
    assert found.steps == ()
    assert (found.tried[0].changes, found.tried[0].fits) == ((), True)
    assert found.plan.targets == make_plan(KNOWN).targets
    assert found.accumulation == 1


def test_the_overhead_counts() -> None:
    model = Model(overhead=1_000)
    needed = needed_bytes(model(make_plan(KNOWN), TrainingSetup(batch_size=8)))
    assert not _fit(needed, model).steps
    assert _fit(needed - 1, model).steps


@pytest.mark.parametrize(
    ("limit", "trades"),
    [
        (140_000, ["checkpointing"]),
        (112_000, ["checkpointing", "batch"]),
        (103_500, ["checkpointing", "batch", "rank"]),
        (40_000, ["checkpointing", "batch", "quantization"]),
    ],
)
def test_the_cheapest_trades_come_first(limit: int, trades: list[str]) -> None:
    found = _fit(limit, Model(), trade=("rank", "quantization", "batch", "checkpointing"))
    assert [step.trade for step in found.steps] == trades
    assert [advice.ground for advice in found.plan.advice[: len(trades)]] == [
        step.advice.ground for step in found.steps
    ]
    for step, advice in zip(found.steps, found.plan.advice, strict=False):
        assert step.advice == advice
        assert advice in GROUNDS.values()
    assert found.steps[-1].needed_bytes == _needed(found)


def test_the_request_that_is_returned_makes_the_plan() -> None:
    for limit in (120_000, 103_500, 40_000, 35_000):
        for options in ({"preset": "extended"}, {"preset": "all-linear", "alpha": 12.0}):
            try:
                found = _fit(limit, Model(), trade=TRADES, **options)
            except PlanError:
                continue
            again = make_plan(KNOWN, found.request)
            assert again.targets == found.plan.targets
            assert again.adapter_config == found.plan.adapter_config


def test_lowering_the_rank_keeps_alpha_over_rank() -> None:
    for options in ({}, {"alpha": 12.0}, {"roles": ("q=8", "v=4"), "alpha": 12.0}):
        asked = make_plan(KNOWN, PlanRequest(**options))
        found = _fit(102_000, Model(per_sequence=0, per_module=0), trade=("rank",), **options)
        assert [step.trade for step in found.steps] == ["rank"]
        ratio = {t.alpha / t.rank for t in asked.targets}
        assert {t.alpha / t.rank for t in found.plan.targets} == ratio
        assert max(t.rank for t in found.plan.targets) < 8


def test_a_stated_rank_is_kept_unless_it_is_named_as_a_trade() -> None:
    model = Model(per_sequence=0, per_module=0)
    for stated in ({"rank": 8}, {"roles": ("q=8", "v=8")}):
        with pytest.raises(PlanError, match="nothing fits"):
            _fit(101_000, model, **stated)
        assert _fit(101_000, model, trade=("rank",), **stated).steps[0].before == "8"
    assert _fit(101_000, model, preset="qv").steps[0].trade == "rank"


def test_max_params_alone_chooses_the_rank_and_memory_then_lowers_it() -> None:
    most = 20 * make_plan(KNOWN, PlanRequest(rank=1)).trainable_params
    assert _fit(10**9, Model(), max_params=most).plan.targets[0].rank == 20
    found = _fit(101_000, Model(per_sequence=0, per_module=0), max_params=most)
    assert found.steps[0].before == "20"
    assert found.plan.targets[0].rank < 20
    assert found.plan.trainable_params <= most


def test_a_stated_rank_over_max_params_is_a_contradiction_unless_traded() -> None:
    most = 4 * make_plan(KNOWN, PlanRequest(rank=1)).trainable_params
    with pytest.raises(PlanError, match="at the rank asked qv has .* too many") as caught:
        _fit(10**9, Model(), rank=8, max_params=most)
    assert "--trade rank" in (caught.value.hint or "")
    assert _fit(10**9, Model(), rank=8, max_params=most, trade=("rank",)).plan.targets[0].rank == 4


def test_roles_are_dropped_for_max_params_where_that_is_allowed() -> None:
    least = make_plan(KNOWN, PlanRequest(preset="all-linear", rank=1)).trainable_params
    with pytest.raises(PlanError, match="too many"):
        _fit(10**9, Model(), preset="all-linear", max_params=least - 1)
    found = _fit(10**9, Model(), preset="all-linear", max_params=least - 1, trade=("roles",))
    assert [(step.trade, step.before, step.needed_bytes) for step in found.steps] == [
        ("roles", "k", None)
    ]
    assert "to keep to --max-params" in found.plan.advice[0].text


def test_fused_projections_go_only_with_all_their_parts() -> None:
    known = mixture()
    found = _fit(101_500, Model(per_sequence=0), known, preset="all-linear", trade=TRADES)
    assert {t.path.rpartition(".")[2] for t in found.plan.targets} >= {"v_proj", "o_proj"}
    steps = [step.before for step in found.steps if step.trade == "roles"]
    assert steps == ["k", "down", "q", "gate and up"][: len(steps)]


def test_nothing_fits_says_what_is_missing_and_what_comes_nearest() -> None:
    with pytest.raises(PlanError) as caught:
        _fit(60_000, Model())
    assert "--max-memory 58.6 KiB: nothing fits. The least is " in caught.value.what
    assert "gradient checkpointing, batch 1, rank 1" in caught.value.what
    assert "The base weights alone take " in caught.value.what
    assert "with --quantization nf4 it needs " in (caught.value.hint or "")


def test_the_nearest_single_change_is_told_with_how_near_it_comes() -> None:
    with pytest.raises(PlanError) as caught:
        _fit(20_000, Model())
    assert caught.value.hint is not None
    assert "The single change that comes nearest is --quantization nf4: " in caught.value.hint
    assert caught.value.hint.endswith("too much.")


def test_the_cheapest_change_that_fits_is_named_and_not_the_largest_saving() -> None:
    with pytest.raises(PlanError) as caught:
        _fit(130_000, Model(), trade=())
    assert "with --gradient-checkpointing it needs" in (caught.value.hint or "")


def test_a_candidate_that_cannot_be_predicted_is_passed_over() -> None:
    model = Model()

    def predict(plan: Plan, setup: TrainingSetup) -> Memory:
        if setup.gradient_checkpointing:
            raise MemoryPredictionError("This model has no gradient checkpointing.")
        return model(plan, setup)

    found = _fit(120_000, predict)
    assert found.setup is not None
    assert not found.setup.gradient_checkpointing
    failed = [each for each in found.tried if each.needed_bytes is None]
    assert failed
    assert not any(each.fits for each in failed)
    assert {each.reason for each in failed} == {"This model has no gradient checkpointing."}


def test_what_was_asked_has_to_be_predictable() -> None:
    def predict(plan: Plan, setup: TrainingSetup) -> Memory:
        raise MemoryPredictionError("Its forward raises.")

    with pytest.raises(MemoryPredictionError, match="Its forward raises"):
        _fit(120_000, predict)


def test_progress_is_told_and_bounded() -> None:
    told: list[tuple[int, int]] = []
    model = Model()
    with pytest.raises(PlanError):
        fit(
            KNOWN,
            PlanRequest(preset="all-linear"),
            Budget(20_000, trade=TRADES),
            TrainingSetup(batch_size=64),
            model,
            lambda done, most: told.append((done, most)),
        )
    assert [done for done, _ in told] == list(range(1, len(model.asked) + 1))
    assert all(done <= most for done, most in told)
    assert len(model.asked) < 30


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_memory": 0}, "max_memory (--max-memory) is 0; expected a number of bytes from 1"),
        ({"max_memory": -5}, "max_memory (--max-memory) is -5; expected"),
        ({"max_memory": 1.5}, "max_memory (--max-memory) is 1.5; expected"),
        ({"max_memory": True}, "max_memory (--max-memory) is True; expected"),
        ({"max_memory": 2**60}, "max_memory (--max-memory) is 1152921504606846976; expected"),
        ({"max_params": 0}, "max_params (--max-params) is 0; expected a whole number from 1"),
        ({"max_memory": 9, "trade": ("seq",)}, "trade (--trade) holds 'seq'; expected some of"),
        ({"max_memory": 9, "trade": ("rank", "rank")}, "trade (--trade) holds 'rank' twice"),
        ({"max_memory": 9, "trade": "rank"}, "trade (--trade) is 'rank'; expected a tuple"),
        ({"trade": ("rank",)}, "--trade is given without --max-memory"),
    ],
)
def test_a_wrong_budget_is_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(PlanError) as caught:
        Budget(**options)
    assert told in str(caught.value)


def test_two_different_limits_of_parameters_contradict_each_other() -> None:
    request = PlanRequest(max_params=1_000)
    setup = TrainingSetup()
    with pytest.raises(PlanError, match="max_params 1,000 and the budget 2,000"):
        fit(KNOWN, request, Budget(10**9, 2_000), setup, Model())
    assert fit(KNOWN, request, Budget(10**9, 1_000), setup, Model()).plan.targets


def test_int8_becomes_nf4_and_nf4_stays() -> None:
    model = Model()
    for asked in ("int8", "nf4"):
        setup = TrainingSetup(quantization=asked)
        found = _fit(50_000, model, trade=("quantization",), setup=setup)
        assert found.setup is not None
        assert found.setup.quantization == "nf4"
        assert len(found.steps) == (asked == "int8")


def test_memory_helper_has_its_parts() -> None:
    made = memory(TrainingSetup(), 3, 4, 5)
    assert (made.peak_bytes, needed_bytes(made)) == (7, 12)
