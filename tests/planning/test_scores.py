"""Scores that are handed in choose the modules: as read, as they name, and as the best total."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from itertools import combinations
from math import isclose
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from priced_models import Model, Predict, memory, scrambled

from builders import linear, llama, mixture
from clock import within
from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.memory import Memory
from lorascope.core.plan import Plan
from lorascope.core.roles import Role
from lorascope.core.training import TrainingSetup
from lorascope.planning import Budget, Fitted, PlanRequest, make_plan, parse_scores, work_out
from lorascope.planning.fitted import needed_bytes
from lorascope.planning.scored_modules import module_scores

KNOWN = llama(2)
ATTENTION = [m.path for m in KNOWN.adaptable if "self_attn" in m.path]


def _chosen(known: Inventory, scores: Mapping[str, float], **more: Any) -> Fitted:
    budget = Budget(*(more.pop(each, None) for each in ("max_memory", "max_params", "trade")))
    run = {key: more.pop(key) for key in ("setup", "predict", "on_try") if key in more}
    return work_out(known, PlanRequest(**more), budget=budget, scores=scores, **run)


def _paths(fitted: Fitted) -> set[str]:
    return {target.path for target in fitted.plan.targets}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"q": NaN}', "holds NaN; expected finite numbers"),
        ('{"q": Infinity}', "holds Infinity; expected finite"),
        ('{"q": -Infinity}', "holds -Infinity; expected finite"),
        ('{"q": 1e999}', "the score of q is inf; expected a finite number"),
        ('{"q": 1' + "0" * 400 + "}", "expected a finite number"),
        ('{"q": 1' + "0" * 5000 + "}", "holds a number that is too long"),
        ('{"q": 1, "q": 2}', "scores q twice"),
        ('{"q": "1"}', "the score of q is '1'; expected a number"),
        ('{"q": true}', "the score of q is True; expected a number"),
        ('{"q": null}', "the score of q is None; expected a number"),
        ('{"q": {"a": 1}}', "the score of q is {'a': 1}; expected a number"),
        ('{"": 1}', "holds '' as a name"),
        ("{}", "holds 0 scores; expected 1 to"),
        ("[1]", "is no object of names and numbers"),
        ("3", "is no object of names and numbers"),
        ("", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is nested"),
        ('{"q\\u001b[31m": NaN}', "holds NaN"),
    ],
)
def test_what_is_no_file_of_scores_is_told(content: str, told: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_scores(content.encode(), "scores.json")
    assert "scores.json" in caught.value.what
    assert told in caught.value.what


def test_text_that_is_not_utf8_is_told() -> None:
    with pytest.raises(PlanError, match="is not UTF-8 text"):
        parse_scores(b'{"q\xff": 1}', "scores.json")


@given(st.dictionaries(st.text(min_size=1).filter(str.strip), st.floats(-1e50, 1e50), min_size=1))
def test_scores_are_read_as_they_were_written(scores: dict[str, float]) -> None:
    assert parse_scores(json.dumps(scores).encode(), "s") == scores


def test_the_most_exact_name_holds() -> None:
    scores = {
        "q": 1.0,
        "attention": 2.0,
        "attention.o": 3.0,
        "v_proj": 4.0,
        "self_attn.v_proj": 5.0,
        "model.layers.1.self_attn.v_proj": 6.0,
        "ffn.down": -7.0,
    }
    found = module_scores(KNOWN, scores)
    of = {path.removeprefix("model.layers."): score for path, score in found.items()}
    assert of == {
        **{f"{i}.self_attn.q_proj": 1.0 for i in (0, 1)},
        **{f"{i}.self_attn.k_proj": 2.0 for i in (0, 1)},
        **{f"{i}.self_attn.o_proj": 3.0 for i in (0, 1)},
        "0.self_attn.v_proj": 5.0,
        "1.self_attn.v_proj": 6.0,
        **{f"{i}.mlp.down_proj": -7.0 for i in (0, 1)},
    }


@pytest.mark.parametrize(
    ("scores", "told", "hint"),
    [
        ({"q_prj": 1.0}, "given for q_prj, which is no module or role of this model", "q_proj"),
        ({"q": 1.0, "ssm.in": 1.0}, "given for ssm.in, which is no module or role", None),
        ({"model.layers.9.mlp.up_proj": 1.0}, "is no module or role", "model.layers."),
        (
            {"x": 1.0, "y": 2.0, "z": 3.0},
            "x, which is no module or role of this model (and 2",
            None,
        ),
        ({"input_layernorm": 1.0}, "input_layernorm, which LoRA does not adapt", "linear layers"),
        ({"model.layers.0": 1.0}, "model.layers.0, which LoRA does not adapt", "linear layers"),
        ({"q=8": 1.0}, "given for q=8, which is no module or role", None),
        ({"\x1b[31mq": 1.0}, "\\x1b[31mq", None),
        ({"q" * 10_000: 1.0}, "which is no module or role", None),
    ],
)
def test_a_score_for_nothing_is_refused(
    scores: dict[str, float], told: str, hint: str | None
) -> None:
    with pytest.raises(PlanError) as caught:
        module_scores(KNOWN, scores)
    assert told in caught.value.what
    assert hint is None or hint in (caught.value.hint or "")


def test_many_names_that_mean_nothing_are_refused_at_once() -> None:
    scores = {f"a{number}": 1.0 for number in range(199_999)}
    told = r"a0, which is no module .* \(and 199,998 more"
    with within(5), pytest.raises(PlanError, match=told):
        module_scores(KNOWN, scores)


def test_words_that_both_mean_a_fused_projection_must_agree() -> None:
    fused = linear("h.0.qkv_proj", (8, 24), Role.ATTENTION_QKV, layer=0)
    known = Inventory(KNOWN.model, KNOWN.built_with, (fused,))
    with pytest.raises(PlanError) as caught:
        module_scores(known, {"q": 1.0, "v": 2.0})
    assert "The scores of q and v both mean h.0.qkv_proj" in caught.value.what
    assert caught.value.hint == "Score it by its name, qkv_proj."
    assert module_scores(known, {"q": 2.0, "v": 2.0}) == {"h.0.qkv_proj": 2.0}


def test_without_a_budget_every_module_with_a_score_above_0_is_adapted() -> None:
    found = _chosen(KNOWN, {"q": 2.0, "k": 0.0, "v_proj": -1.0, ATTENTION[3]: 1.0})
    assert _paths(found) == {path for path in ATTENTION if "q_proj" in path} | {ATTENTION[3]}
    assert found.plan.preset == "scores"
    assert found.score == 5.0
    assert found.plan.advice[0].text == ("3 of 7 scored modules: a total score of 5 out of 5.")
    assert {target.rank for target in found.plan.targets} == {8}
    assert make_plan(KNOWN, found.request).targets == found.plan.targets


def test_a_request_narrows_what_scores_choose_from() -> None:
    scores = {"q": 2.0, "down": 3.0, "head.lm": 9.0}
    assert {t.role.value for t in _chosen(KNOWN, scores, preset="qv").plan.targets} == {
        "attention.q"
    }
    found = _chosen(KNOWN, scores)
    assert {t.role.value for t in found.plan.targets} == {"attention.q", "ffn.down"}
    assert "1 module with a score above 0 cannot be adapted or is not meant by preset" in (
        found.plan.advice[1].text
    )
    found = _chosen(KNOWN, scores, roles=("q=2", "head.lm=4"))
    assert {(t.role.value, t.rank) for t in found.plan.targets} == {
        ("attention.q", 2),
        ("head.lm", 4),
    }


@pytest.mark.parametrize(
    ("scores", "more", "told"),
    [
        ({"q": 0.0, "v": -1.0}, {}, "None of the 4 scored modules may be adapted: none has a"),
        ({"lm_head": 1.0}, {}, "and none of these is a linear of a block"),
        ({"down": 1.0}, {"preset": "qv"}, "2 have a score above 0, and preset qv means none"),
        ({"q": 1.0}, {"max_params": 10}, "--max-params 10: the smallest scored module has 128"),
        (
            {"q": 1.0},
            {"max_memory": 9, "trade": ("rank",), "setup": TrainingSetup(), "predict": Model()},
            "--trade rank and --scores are both given",
        ),
        ({"q": 1.0}, {"max_memory": 9}, "--max-memory needs the model itself"),
    ],
)
def test_scores_that_choose_nothing_are_told(
    scores: dict[str, float], more: dict[str, Any], told: str
) -> None:
    with pytest.raises(PlanError) as caught:
        _chosen(KNOWN, scores, **more)
    assert told in caught.value.what


@cache
def _plan(paths: frozenset[str]) -> Plan:
    return make_plan(KNOWN, PlanRequest(preset="all-linear", only=paths))


def _brute_force(
    scores: Mapping[str, float],
    most: int | None,
    setups: list[TrainingSetup],
    predict: Predict | None,
    limit: int,
) -> float | None:
    """Largest total over all sets of positively scored modules, each really planned."""
    best = None
    names = [path for path, score in scores.items() if score > 0]
    for count in range(1, len(names) + 1):
        for subset in combinations(names, count):
            total = sum(scores[path] for path in subset)
            if best is not None and total <= best:
                continue
            plan = _plan(frozenset(subset))
            if most is not None and plan.trainable_params > most:
                continue
            if predict is None or any(
                needed_bytes(predict(plan, setup)) <= limit for setup in setups
            ):
                best = total
    return best


def _scores(paths: list[str]) -> st.SearchStrategy[dict[str, float]]:
    value = st.sampled_from([1.0, 2.0]) | st.floats(-1, 10).filter(lambda x: abs(x) > 1e-3)
    return st.dictionaries(st.sampled_from(paths), value, min_size=1, max_size=7)


@settings(deadline=None, max_examples=25)
@given(_scores([m.path for m in KNOWN.adaptable if m.layer is not None]), st.integers(1, 6000))
def test_the_total_under_max_params_is_that_of_trying_every_set(
    scores: dict[str, float], most: int
) -> None:
    best = _brute_force(scores, most, [], None, 0)
    if best is None:
        with pytest.raises(PlanError):
            _chosen(KNOWN, scores, max_params=most)
        return
    found = _chosen(KNOWN, scores, max_params=most)
    assert found.plan.trainable_params <= most
    assert found.score is not None
    assert isclose(found.score, best, rel_tol=1e-9)
    assert isclose(found.score, sum(scores[path] for path in _paths(found)))


@settings(deadline=None, max_examples=25)
@given(
    _scores([m.path for m in KNOWN.adaptable if m.layer is not None]),
    st.none() | st.integers(500, 6000),
    st.integers(90_000, 150_000),
)
def test_the_total_under_memory_is_that_of_trying_every_set_where_memory_adds_up(
    scores: dict[str, float], most: int | None, limit: int
) -> None:
    setup = TrainingSetup(batch_size=4)
    model = Model(per_module=1500)
    best = _brute_force(scores, most, [setup], model, limit)
    more: dict[str, Any] = {"setup": setup, "predict": model, "trade": ()}
    if best is None:
        with pytest.raises(PlanError):
            _chosen(KNOWN, scores, max_params=most, max_memory=limit, **more)
        return
    found = _chosen(KNOWN, scores, max_params=most, max_memory=limit, **more)
    assert found.plan.memory is not None
    assert needed_bytes(found.plan.memory) <= limit
    assert most is None or found.plan.trainable_params <= most
    assert found.score is not None
    assert isclose(found.score, best, rel_tol=1e-9)


@settings(deadline=None, max_examples=25)
@given(_scores(ATTENTION[:6]), st.integers(0, 10**6), st.integers(1, 1000))
def test_the_total_of_few_modules_is_that_of_trying_every_set_whatever_memory_does(
    scores: dict[str, float], salt: int, limit: int
) -> None:
    predict = scrambled(salt)
    setup = TrainingSetup()
    best = _brute_force(scores, None, [setup], predict, limit)
    more: dict[str, Any] = {"setup": setup, "predict": predict, "trade": ()}
    if best is None:
        with pytest.raises(PlanError):
            _chosen(KNOWN, scores, max_memory=limit, **more)
        return
    found = _chosen(KNOWN, scores, max_memory=limit, **more)
    assert found.score is not None
    assert isclose(found.score, best, rel_tol=1e-9)


def _shared(plan: Plan, setup: TrainingSetup) -> Memory:
    """q, k and v of a layer keep one input together; nothing below the first adapter is kept."""
    kept = {
        (t.layer, "qkv" if t.role.value[-1] in "qkv" and t.role.group == "attention" else t.role)
        for t in plan.targets
    }
    first = min(t.layer or 0 for t in plan.targets)
    bytes_kept = 1_000 * len(kept) + 2_000 * (6 - first)
    return memory(setup, 50_000 + 16 * plan.trainable_params, bytes_kept)


@pytest.mark.parametrize("limit", [62_000, 66_000, 75_000, 90_000, 110_000])
def test_where_memory_does_not_add_up_the_choice_still_fits_and_is_told_as_unproven(
    limit: int,
) -> None:
    known = llama(6)
    scores = {m.path: 1.0 + i % 5 for i, m in enumerate(known.adaptable) if m.layer is not None}
    asked: list[int] = []
    found = _chosen(
        known,
        scores,
        max_memory=limit,
        trade=(),
        setup=TrainingSetup(),
        predict=_shared,
        on_try=lambda done, most: asked.append(done) or done <= most or pytest.fail("too many"),
    )
    assert found.plan.memory is not None
    assert needed_bytes(found.plan.memory) <= limit
    assert len(asked) <= 30
    assert found.score is not None
    if found.score < sum(scores.values()):
        assert any("Memory is no sum over modules" in a.text for a in found.plan.advice)
        # Not far from what a greedy choice with predictions at every step comes to.
        assert found.score >= 0.8 * _greedy(known, scores, limit)


def _greedy(known: Inventory, scores: Mapping[str, float], limit: int) -> float:
    chosen: list[str] = []
    for path in sorted(scores, key=lambda each: -scores[each]):
        plan = make_plan(known, PlanRequest(preset="all-linear", only=[*chosen, path]))
        if needed_bytes(_shared(plan, TrainingSetup())) <= limit:
            chosen.append(path)
    return sum(scores[path] for path in chosen)


def test_the_setup_is_traded_before_modules_are_left_out() -> None:
    scores = {"q": 2.0, "v": 1.0, "down": 3.0}
    setup = TrainingSetup(batch_size=8)
    model = Model()
    everything = make_plan(KNOWN, PlanRequest(roles=("q", "v", "down")))
    leanest = TrainingSetup(batch_size=1, gradient_checkpointing=True)
    enough = needed_bytes(model(everything, leanest))
    more: dict[str, Any] = {"setup": setup, "predict": model}
    found = _chosen(KNOWN, scores, max_memory=enough, **more)
    assert found.score == 12.0
    assert [step.trade for step in found.steps] == ["checkpointing", "batch"]
    found = _chosen(KNOWN, scores, max_memory=enough - 1, **more)
    assert found.score is not None
    assert found.score < 12.0
    assert needed_bytes(found.plan.memory or model(everything, setup)) < enough


def test_a_budget_below_any_choice_says_what_is_missing() -> None:
    with pytest.raises(PlanError, match="nothing fits.*The base weights alone take") as caught:
        _chosen(
            KNOWN,
            {"q": 1.0},
            max_memory=50_000,
            setup=TrainingSetup(),
            predict=Model(),
        )
    assert "--quantization nf4" in (caught.value.hint or "")


def test_routed_experts_may_be_scored() -> None:
    found = _chosen(mixture(), {"moe.experts.down": 2.0, "q": 1.0})
    assert {t.role.value for t in found.plan.targets} == {"moe.experts.down", "attention.q"}
    assert _chosen(mixture(), {"down": 2.0, "q": 1.0}, experts=False).score == 5.0
