import ast
import json
from pathlib import Path
from typing import Any

import pytest
from adaptations import some_adaptation
from checks import some_files
from differences import ADAPTER, FULLER
from jsonschema import Draft202012Validator
from plans import match_of, plan_of

import builders
from lorascope import planning
from lorascope.core.adaptation import Step
from lorascope.core.errors import ModelReferenceError
from lorascope.core.export import Exported, Form, Loss, Trainer
from lorascope.core.finding import Severity
from lorascope.core.inventory import HAZARDS
from lorascope.core.observation import Call
from lorascope.core.recipe import Tool
from lorascope.core.roles import Evidence, Kind, Role, Tower
from lorascope.matching.difference import Aspect, difference
from lorascope.matching.result import Reason, Where
from lorascope.report.examples_report import examples_json
from lorascope.report.json_adapt import adapt_json
from lorascope.report.json_check import check_json
from lorascope.report.json_diff import diff_json
from lorascope.report.json_error import error_json
from lorascope.report.json_export import export_json
from lorascope.report.json_inventory import inventory_json
from lorascope.report.json_match import match_json
from lorascope.report.json_plan import compare_json, plan_json
from lorascope.report.schemas import SCHEMA_NAMES, schema_text
from lorascope.source.examples import list_examples

LLAMA = builders.llama()
QV = {"attention.q": 8, "attention.v": 8}

EXPORTED = Exported(
    to=Trainer.AXOLOTL,
    version="0.19.0",
    form=Form.YAML,
    file_name="axolotl.yaml",
    text="base_model: tiny\n",
    losses=(Loss("bias", "What, and what instead.", "Why.", ("model.layers.0",)),),
    notes=("Set this.",),
)

OUTPUTS: dict[str, list[dict[str, Any]]] = {
    "inspect": [
        inventory_json(inventory, modules)
        for inventory in (LLAMA, builders.mixture(), builders.multimodal(), builders.observed())
        for modules in (None, inventory.modules)
    ],
    "plan": [plan_json(plan_of(LLAMA, QV))],
    "compare": [compare_json([plan_of(LLAMA, QV), plan_of(LLAMA, QV, preset="ffn")])],
    "match": [match_json(match_of(LLAMA), LLAMA.model)],
    "check": [check_json(some_files()), check_json(())],
    "diff": [diff_json(difference(ADAPTER, other)) for other in (FULLER, ADAPTER)],
    "export": [
        export_json(EXPORTED, LLAMA.model, written="axolotl.yaml"),
        export_json(EXPORTED, LLAMA.model, refused=True),
    ],
    "adapt": [adapt_json(some_adaptation()), adapt_json(some_adaptation(written=False))],
    "models": [examples_json(list_examples())],
    "error": [
        error_json(ModelReferenceError("Where, got, expected.", "Do this.")),
        error_json(ModelReferenceError("Where.")),
    ],
}


def closed(schema: Any) -> Any:
    """The schema with no property allowed beyond those it documents."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    values = {key: closed(each) for key, each in schema.items()}
    return {**values, "additionalProperties": False} if "required" in values else values


def test_every_schema_has_an_output_here() -> None:
    assert set(OUTPUTS) == set(SCHEMA_NAMES)


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_output_validates_and_every_field_is_documented(name: str) -> None:
    schema = json.loads(schema_text(name))
    Draft202012Validator.check_schema(schema)
    for output in OUTPUTS[name]:
        as_read = json.loads(json.dumps(output))
        Draft202012Validator(schema).validate(as_read)
        Draft202012Validator(closed(schema)).validate(as_read)


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_every_property_says_what_it_is(name: str) -> None:
    def undescribed(schema: Any, where: str) -> list[str]:
        if not isinstance(schema, dict):
            return []
        found = [] if {"description", "$ref"} & set(schema) else [where]
        for key, each in schema.get("properties", {}).items():
            found += undescribed(each, f"{where}.{key}")
        for key, each in schema.get("$defs", {}).items():
            found += undescribed(each, f"{where}.$defs.{key}")
        return found

    missing = undescribed(json.loads(schema_text(name)), name)
    assert [where for where in missing if not where.endswith(".error")] == []


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_a_schema_refuses_what_lacks_a_field(name: str) -> None:
    schema = Draft202012Validator(json.loads(schema_text(name)))
    for field in OUTPUTS[name][0]:
        assert not schema.is_valid({k: v for k, v in OUTPUTS[name][0].items() if k != field})


def test_closed_vocabularies_are_those_of_the_program() -> None:
    inspect = json.loads(schema_text("inspect"))["$defs"]
    module = inspect["module"]["properties"]
    assert module["role"]["enum"] == [str(role) for role in Role]
    assert module["kind"]["enum"] == [str(kind) for kind in Kind]
    assert module["tower"]["enum"] == [str(tower) for tower in Tower]
    assert module["evidence"]["enum"] == [str(evidence) for evidence in Evidence]
    assert module["hazards"]["items"]["enum"] == list(HAZARDS)
    observed = inspect["observed"]["properties"]
    assert observed["call"]["enum"] == [str(call) for call in Call]
    assert observed["role"]["enum"] == [*map(str, Role), None]
    plan_target = json.loads(schema_text("plan"))["$defs"]["target"]["properties"]
    assert plan_target["role"]["enum"] == [str(role) for role in Role]
    match = json.loads(schema_text("match"))["$defs"]
    assert match["entry"]["properties"]["where"]["enum"] == [str(where) for where in Where]
    assert match["target"]["properties"]["reason"]["enum"] == [str(reason) for reason in Reason]
    check = json.loads(schema_text("check"))["$defs"]
    assert check["check"]["properties"]["tool"]["enum"] == [str(tool) for tool in Tool]
    assert check["finding"]["properties"]["severity"]["enum"] == [str(each) for each in Severity]
    assert check["entry"] == match["entry"]
    adapt = json.loads(schema_text("adapt"))["$defs"]
    assert adapt["change"]["properties"]["step"]["enum"] == [str(step) for step in Step]
    export = json.loads(schema_text("export"))["properties"]
    assert export["to"]["enum"] == [str(trainer) for trainer in Trainer]
    assert export["form"]["enum"] == [str(form) for form in Form]
    changed = json.loads(schema_text("diff"))["properties"]["changed"]["items"]["properties"]
    assert changed["differs_in"]["items"]["enum"] == [str(aspect) for aspect in Aspect]


@pytest.mark.parametrize("name", ["plan", "compare", "match", "check", "diff", "export"])
def test_all_outputs_describe_a_model_alike(name: str) -> None:
    model = json.loads(schema_text(name))["$defs"]["model"]
    assert model == json.loads(schema_text("inspect"))["$defs"]["model"]


def test_schema_files_are_all_named() -> None:
    folder = Path(schema_text.__globals__["__file__"]).parent / "schema"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.schema.json" for name in SCHEMA_NAMES
    }


def test_inventory_json_lists_no_containers_unless_asked() -> None:
    assert [m["path"] for m in inventory_json(LLAMA)["modules"]][:2] == [
        "model.embed_tokens",
        "model.layers.0.self_attn.q_proj",
    ]
    everything = inventory_json(LLAMA, LLAMA.modules)["modules"]
    assert [m["path"] for m in everything] == [m.path for m in LLAMA.modules]


def test_inventory_json_states_one_module_in_full() -> None:
    found = {m["path"]: m for m in inventory_json(builders.mixture())["modules"]}
    assert found["model.layers.1.mlp.experts.down_proj"] == {
        "path": "model.layers.1.mlp.experts.down_proj",
        "class": "Parameter",
        "kind": "expert_parameter",
        "kind_inferred": False,
        "role": "moe.experts.down",
        "evidence": "named",
        "rule": None,
        "layer": 1,
        "tower": "text",
        "cross_attention": False,
        "in_features": 16,
        "out_features": 8,
        "experts": 4,
        "kernel": None,
        "params": 512,
        "lora_params_per_rank": 96,
        "tied_to": None,
        "hazards": [],
        "observed": None,
    }
    assert found["lm_head"]["tied_to"] == "model.embed_tokens"


def test_inventory_json_states_what_was_observed() -> None:
    value = inventory_json(builders.observed())
    assert value["observation"] == {
        "inputs": ["input_ids"],
        "attentions": 3,
        "is_partial": False,
        "reason": None,
        "notes": [],
    }
    found = {m["path"]: m["observed"] for m in value["modules"]}
    assert found["model.layers.1.self_attn.k_proj"] == {
        "call": "called",
        "role": "attention.k",
        "affine": True,
        "input_group": 2,
        "input_kept": False,
    }
    assert found["model.layers.1.mlp.gate_proj"]["call"] == "read_directly"
    assert found["lm_head"] == {
        "call": "not_reached",
        "role": None,
        "affine": None,
        "input_group": None,
        "input_kept": None,
    }
    assert inventory_json(LLAMA)["observation"] is None


def test_match_json_gives_few_examples_of_many() -> None:
    (entry, *_) = match_json(match_of(builders.llama(30)), LLAMA.model)["entries"]
    assert entry["matched"] == 30
    assert entry["examples"] == [f"model.layers.{i}.self_attn.q_proj" for i in range(5)]


def test_effective_configuration_has_only_fields_of_peft() -> None:
    assert "unmodelled" not in match_json(match_of(LLAMA), LLAMA.model)["effective"]


def test_check_json_states_a_finding_in_full() -> None:
    check, unknown = check_json(some_files())["checks"]
    assert check["findings"][1] == {
        "code": "LT002",
        "severity": "warning",
        "where": "target_modules",
        "entry": "vproj",
        "message": "It matches no module.",
        "hint": "Write v_proj.",
        "paths": [],
        "line": 3,
        "column": 42,
        "fixable": True,
    }
    assert (check["adapted"], check["trainable_params"]) == (6, 688)
    assert unknown["model"] is unknown["effective"] is unknown["adapted"] is None
    assert unknown["problem"] == {
        "type": "ModelReferenceError",
        "message": "The Hub has no owner/tiny.",
        "hint": "Name it as MODEL.",
    }


def test_check_json_counts_what_it_lists() -> None:
    value = check_json(some_files())
    findings = [finding for check in value["checks"] for finding in check["findings"]]
    summary = value["summary"]
    assert summary["files"] == len({check["file"] for check in value["checks"]}) + 1
    assert summary["left_out"] == 1
    assert summary["checks"] == len(value["checks"])
    assert [each["file"] for each in value["unread"]] == ["broken.yaml"]
    for severity in Severity:
        count = sum(finding["severity"] == severity for finding in findings)
        assert summary[f"{severity}s"] == count > 0
    assert summary["fixable"] == sum(finding["fixable"] for finding in findings) == 2


def test_every_ground_that_plans_state_is_in_the_schema() -> None:
    stated = {
        call.args[1].value
        for file in Path(planning.__file__).parent.glob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Advice"
        and len(call.args) > 1
        and isinstance(call.args[1], ast.Constant)
    }
    listed = json.loads(schema_text("plan"))["$defs"]["advice"]["properties"]["ground"]["enum"]
    assert {"paper", "unverified", "none"} <= stated <= set(listed)
