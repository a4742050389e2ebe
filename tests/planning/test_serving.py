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
from lorascope.planning import PlanRequest, make_plan
from lorascope.planning.presets import PRESETS
from lorascope.serving.engines import engines
from lorascope.serving.troubles import Severity, troubles

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
        (PlanRequest(rslora=True, serve=("llama.cpp",)), "it misreads a scale of"),
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
    with pytest.raises(PlanError, match="expected a list"):
        PlanRequest(serve="vllm")


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
        assert all(each.severity is Severity.OPTION for each in left)
        assert all(each.scaling == 2 for each in found.targets)
    assert made >= (0 if (name, engine) == ("Qwen2.5-VL-7B", "tgi") else 4)


def test_an_engine_that_adapts_nothing_of_a_model() -> None:
    model = lorascope.inspect("Qwen2.5-VL-7B")
    with pytest.raises(PlanError, match=r"by Text Generation Inference \(3\.3\.7\): it "):
        make_plan(model, PlanRequest(serve=("tgi",)))
