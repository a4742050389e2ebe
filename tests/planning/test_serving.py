"""Plans that all engines asked for serve as they are trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

import lorascope
from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.core.spec import LoraSpec
from lorascope.matching import match
from lorascope.planning import PlanRequest, compare, make_plan
from lorascope.planning.presets import PRESETS
from lorascope.report.compare_text import compare_text
from lorascope.serving.engines import engines
from lorascope.serving.troubles import troubles

EXAMPLES = ("Llama-3.1-8B", "Phi-3-mini", "Qwen3-30B-A3B", "SmolLM2-135M", "Qwen2.5-VL-7B")


@pytest.fixture(scope="module")
def llama() -> Inventory:
    return lorascope.inspect("Llama-3.1-8B")


def texts(plan: Plan) -> list[str]:
    return [advice.text for advice in plan.advice]


def test_mixed_ranks_stay_where_the_engine_reads_them_right(llama: Inventory) -> None:
    plan = make_plan(llama, PlanRequest(preset="extended", serve=("vllm",)))
    assert plan.adapter_config["rank_pattern"]
    assert not any("Mixed ranks" in text for text in texts(plan))
    assert texts(plan)[-1].startswith("vLLM ")
    assert texts(plan)[-1].endswith(" serves this as it is trained.")


@pytest.mark.parametrize("serve", [("sglang",), ("vllm", "sglang"), ("llama.cpp",)])
def test_else_all_targets_get_one_rank(llama: Inventory, serve: tuple[str, ...]) -> None:
    plan = make_plan(llama, PlanRequest(preset="extended", serve=serve))
    assert not plan.adapter_config["rank_pattern"]
    assert not plan.adapter_config["alpha_pattern"]
    assert {(target.rank, target.alpha) for target in plan.targets} == {(8, 16)}
    assert any(text.startswith("All targets get one rank") for text in texts(plan))


def test_ranks_that_were_asked_for_are_not_changed(llama: Inventory) -> None:
    with pytest.raises(PlanError, match=r"SGLang \(0\.5\.\d+\): it refuses a rank_pattern"):
        make_plan(llama, PlanRequest(roles="q=8,down=4", serve=("sglang",)))


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (PlanRequest(dora=True, serve=("vllm",)), "it refuses DoRA"),
        (PlanRequest(bias="all", serve=("vllm",)), "it refuses trained biases"),
        (PlanRequest(layers="0-3", serve=("tgi",)), "it leaves out LoRA on q_proj, v_proj in some"),
        (PlanRequest(rank=1024, serve=("vllm",)), "it refuses rank 1024, because the largest"),
        (
            PlanRequest(rslora=True, serve=("llama.cpp",)),
            "it scales 64 modules (q_proj, v_proj) by x0.3536",
        ),
    ],
)
def test_what_an_option_asks_for_is_not_weakened(
    llama: Inventory, request_: PlanRequest, told: str
) -> None:
    with pytest.raises(PlanError, match="No plan as asked is served as trained by") as caught:
        make_plan(llama, request_)
    assert told in caught.value.what
    assert caught.value.hint


def test_experts_are_left_out_unless_asked_for() -> None:
    model = lorascope.inspect("Qwen3-30B-A3B")
    request = PlanRequest(preset="all-linear", serve=("llama.cpp",))
    plan = make_plan(model, request)
    assert plan.adapter_config["target_parameters"] is None
    assert any(text.startswith("Routed experts are left out") for text in texts(plan))
    with pytest.raises(PlanError, match="stacked expert parameters"):
        make_plan(model, replace(request, experts=True))


def test_an_option_of_the_engine_is_named(llama: Inventory) -> None:
    plan = make_plan(llama, PlanRequest(rank=32, serve=("vllm",)))
    assert texts(plan)[-1] == "vLLM needs --max-lora-rank 32 for rank 32."


def test_an_unknown_engine() -> None:
    with pytest.raises(PlanError, match="--serve is 'ollama'; expected one of peft, vllm"):
        PlanRequest(serve=("ollama",))
    with pytest.raises(PlanError, match="--serve is 'ollama'"):
        PlanRequest(serve="vllm, ollama")
    with pytest.raises(PlanError, match="expected a list"):
        PlanRequest(serve=1)  # type: ignore[arg-type]


def test_engines_as_one_text(llama: Inventory) -> None:
    request = PlanRequest(serve="vllm,llama.cpp, vllm")
    assert request.engines == ("vllm", "llama.cpp")
    assert texts(make_plan(llama, request))[-1].startswith("vLLM 0.33.0 and llama.cpp")


def test_a_model_that_the_engine_has_no_class_for() -> None:
    plan = make_plan(lorascope.inspect("T5-base"), PlanRequest(serve=("vllm",)))
    assert any("has no class of its own" in text for text in texts(plan))


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("engine", tuple(engines()))
def test_no_plan_has_trouble(name: str, engine: str) -> None:
    """Each preset's plan is served as trained, or there is none and the reason is told."""
    model = lorascope.inspect(name)
    made = 0
    for preset in PRESETS:
        try:
            plan = make_plan(model, PlanRequest(preset=preset, serve=(engine,)))
        except PlanError:
            continue
        made += 1
        found = match(model, LoraSpec.from_dict(plan.adapter_config))
        left = troubles(engines()[engine], model, found)
        assert all(not each.severity.is_hard for each in left)
        assert all(each.scaling == 2 for each in found.targets)
    assert made >= (0 if (name, engine) == ("Qwen2.5-VL-7B", "tgi") else 4)


def test_an_engine_that_adapts_nothing_of_a_model() -> None:
    model = lorascope.inspect("Qwen2.5-VL-7B")
    with pytest.raises(PlanError, match="^Text Generation Inference serves no plan of preset") as e:
        make_plan(model, PlanRequest(serve=("tgi",)))
    assert e.value.hint is not None
    assert e.value.hint.startswith("Serve it with PEFT, vLLM, SGLang")


def test_a_model_whose_class_takes_no_adapters() -> None:
    with pytest.raises(PlanError, match="^vLLM serves no adapter of this model: it refuses") as e:
        make_plan(lorascope.inspect("GPT-2"), PlanRequest(serve=("vllm",)))
    assert e.value.hint == "Serve it with PEFT, llama.cpp or LoRAX, or choose other targets."


def test_rslora_can_be_said_as_another_alpha(llama: Inventory) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(llama, PlanRequest(rslora=True, serve=("sglang",)))
    assert caught.value.hint == (
        "Leave out --rslora and give --alpha 45.2548: at r = 8 the scale is the same."
    )
    plan = make_plan(llama, PlanRequest(alpha=45.2548, serve=("sglang",)))
    rslora = make_plan(llama, PlanRequest(rslora=True))
    found = [match(llama, LoraSpec.from_dict(p.adapter_config)) for p in (plan, rslora)]
    scales = [{each.scaling for each in one.targets} for one in found]
    assert scales[0].pop() == pytest.approx(scales[1].pop(), rel=1e-5)


def test_what_was_changed_is_told_with_its_cost(llama: Inventory) -> None:
    said = texts(make_plan(llama, PlanRequest(preset="extended", serve=("llama.cpp",))))
    assert (
        "All targets get one rank and one alpha, as llama.cpp would scale mixed ranks otherwise:"
        " gate, up and down get r = 8 instead of 4, 17,563,648 trained parameters instead of"
        " 10,485,760." in said
    )
    assert not any("is untested" in text for text in said)


def test_grounds_that_no_longer_hold_are_left_out() -> None:
    model = lorascope.inspect("Qwen3-30B-A3B")
    said = texts(make_plan(model, PlanRequest(preset="all-linear", serve=("sglang",))))
    assert not any("every linear layer" in text or "--experts" in text for text in said)


def test_why_something_is_left_out(llama: Inventory) -> None:
    said = texts(make_plan(llama, PlanRequest(preset="vod", serve=("sglang",))))
    assert (
        "v_proj is left out: SGLang needs q_proj and v_proj together for LoRA there, because it"
        " joins them into one layer." in said
    )


def test_the_rows_of_a_comparison_tell_what_was_changed(llama: Inventory) -> None:
    rows = {row.preset: row for row in compare(llama, PlanRequest(serve=("sglang",)))}
    told = {name: [each.message for each in row.findings] for name, row in rows.items()}
    assert told["qv"] == []
    assert told["extended"][0].startswith("All targets get one rank and one alpha, as SGLang")
    assert told["vod"][0].startswith("v_proj is left out: SGLang needs q_proj and v_proj together")
    lines = compare_text(tuple(rows.values()), llama, 200, serve=("sglang",))
    assert any("served by   SGLang 0.5." in line.plain for line in lines)


def test_whether_an_engine_runs_a_model_may_not_be_known() -> None:
    model = lorascope.inspect("T5-base")
    said = texts(make_plan(model, PlanRequest(serve=("vllm", "peft"))))
    assert "PEFT 0.21.2 serves this as it is trained." in said
    assert said[-1].startswith("vLLM has no class of its own for a model of class T5")
