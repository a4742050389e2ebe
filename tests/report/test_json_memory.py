import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from memories import memory_of
from plans import plan_of
from test_json_output import closed

import builders
from lorascope.core import training
from lorascope.core.fit import Step, Tried
from lorascope.core.plan import Advice
from lorascope.planning.fitted import Fitted
from lorascope.planning.request import PlanRequest
from lorascope.report.json_memory import memory_json
from lorascope.report.json_plan import compare_json, plan_json
from lorascope.report.schemas import schema_text

LLAMA = builders.llama()
PLAN = plan_of(LLAMA, {"attention.q": 8}, memory=memory_of())
FITTED = Fitted(
    PLAN,
    PLAN.memory.setup if PLAN.memory else None,
    request=PlanRequest(),
    accumulation=2,
    steps=(Step("batch", "2", "1", 2**34, Advice("A smaller batch.", "none")),),
    tried=(Tried((), None, False, "It fails."), Tried(("batch 1",), 2**34, True)),
)


def validate(value: dict[str, Any], name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(value))
    schema = json.loads(schema_text(name))
    Draft202012Validator(schema).validate(read)
    Draft202012Validator(closed(schema)).validate(read)
    return read


def test_a_plan_with_memory_and_a_budget_is_documented_in_full() -> None:
    value = validate(plan_json(PLAN, FITTED, 2**35), "plan")
    assert value["memory"]["facts"][0] == {
        "change": "without q",
        "role": "attention.q",
        "peak_bytes": -1_200_000,
        "kept_bytes": 0,
        "text": "q costs nothing beside v.",
    }
    assert value["memory"]["facts"][1]["role"] is None
    assert value["fit"]["max_memory"] == 2**35
    assert value["fit"]["steps"][0]["advice"]["text"] == "A smaller batch."
    assert value["fit"]["tried"][0] == {
        "changes": [],
        "needed_bytes": None,
        "fits": False,
        "reason": "It fails.",
    }


def test_without_a_budget_there_is_no_fit() -> None:
    assert validate(plan_json(PLAN, FITTED), "plan")["fit"] is None


def test_parts_add_up_to_the_peak() -> None:
    value = memory_json(memory_of())
    parts = list(value)[:7]
    assert all(part.endswith("_bytes") for part in parts)
    assert sum(value[part] for part in parts) == value["peak_bytes"]


def test_a_comparison_with_memory_is_documented_in_full() -> None:
    value = validate(compare_json([PLAN, replace(PLAN, memory=None)]), "compare")
    assert value["setup"]["batch_size"] == 1
    assert value["plans"][0]["memory"]["peak_bytes"] == memory_of().peak_bytes
    assert value["plans"][1]["memory"] is None


@pytest.mark.parametrize("name", ["plan", "compare"])
def test_choices_of_a_setup_are_those_of_the_program(name: str) -> None:
    setup = json.loads(schema_text(name))["$defs"]["setup"]["properties"]
    for field, known in (
        ("dtype", training.DTYPES),
        ("quantization", training.QUANTIZATIONS),
        ("optimizer", training.OPTIMIZERS),
        ("adapter_dtype", training.ADAPTER_DTYPES),
        ("sharding", training.SHARDINGS),
        ("device", training.DEVICES),
    ):
        assert setup[field]["enum"] == list(known)


def test_trades_are_those_of_the_program() -> None:
    from lorascope.planning import TRADES

    step = json.loads(schema_text("plan"))["$defs"]["step"]["properties"]
    assert step["trade"]["enum"] == list(TRADES)
