"""What serving engines make of an adapter, in text and JSON of `check`."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from builders import llama
from lorascope.checking import findings_of, subject_of
from lorascope.checking.checked import Checked, CheckedFile
from lorascope.core.recipe import Recipe, Tool
from lorascope.report.check_text import check_text
from lorascope.report.json_check import check_json
from lorascope.serving.engines import engines

MIXED = {
    "target_modules": ["q_proj", "v_proj", "up_proj"],
    "r": 8,
    "lora_alpha": 16,
    "rank_pattern": {"up_proj": 4},
}


def checked_file(*asked: str, model: dict[str, Any] | None = None, **config: Any) -> CheckedFile:
    recipe = Recipe(Tool.PEFT, "tiny.json", MIXED | config)
    subject = subject_of(recipe, llama(**(model or {})), engines=asked)
    return CheckedFile("tiny.json", (Checked(subject, ()),), "{}")


def test_factors_in_json() -> None:
    value = check_json([checked_file("vllm", "tgi")])
    schema = files("lorascope.report").joinpath("schema/check.schema.json").read_text("utf-8")
    jsonschema.validate(value, json.loads(schema))
    [check] = value["checks"]
    rows = [(row["engine"], row["factor"], row["modules"]) for row in check["serving"]]
    assert rows == [("vllm", 1.0, 9), ("tgi", 1.0, 6), ("tgi", 0.5, 3)]
    assert check["serving"][2] == {
        "engine": "tgi",
        "version": engines()["tgi"].version,
        "factor": 0.5,
        "modules": 3,
        "names": ["up_proj"],
        "paths": [f"model.layers.{layer}.mlp.up_proj" for layer in range(3)],
        "options": [],
        "as_trained": False,
        "left_out": [],
    }


@pytest.mark.parametrize(
    ("engine", "config", "as_trained", "left_out"),
    [
        ("vllm", {}, True, []),
        ("tgi", {"rank_pattern": {}}, True, []),
        ("tgi", {"rank_pattern": {}, "use_dora": True}, False, ["DoRA"]),
        ("sglang", {"rank_pattern": {}, "use_dora": True}, False, []),
    ],
)
def test_what_is_left_out_in_json(
    engine: str, config: dict[str, Any], as_trained: bool, left_out: list[str]
) -> None:
    [check] = check_json([checked_file(engine, **config)])["checks"]
    assert all(row["as_trained"] is as_trained for row in check["serving"])
    assert all(row["left_out"] == left_out for row in check["serving"])


def test_a_class_that_the_engine_has_not() -> None:
    file = checked_file("vllm", model={"cls": "OtherForCausalLM"})
    [check] = check_json([file])["checks"]
    assert [row["as_trained"] for row in check["serving"]] == [None]
    text = "\n".join(line.plain for line in check_text([file], 200))
    assert "at vLLM" in text
    assert "unknown: no class for OtherForCausalLM (0.33.0)" in text


def test_one_place_is_shown_once() -> None:
    names = ["q_proj", "v_proj"]
    config = MIXED | {"rank_pattern": {}, "use_dora": True, "target_modules": names}
    subject = subject_of(Recipe(Tool.PEFT, "tiny.json", config), llama(), engines=tuple(engines()))
    file = CheckedFile("tiny.json", (Checked(subject, findings_of(subject)),), "{}")
    text = "\n".join(line.plain for line in check_text([file], 200))
    assert text.count("error LT030") == 1
    assert text.count("does not load it") == 3
    assert text.count("leaves it out") == 2
    assert text.count("Train without use_dora") == 1
    assert "5 errors" in text


def test_modules_add_up_at_every_engine() -> None:
    [check] = check_json([checked_file(*engines())])["checks"]
    for name in engines():
        rows = [row for row in check["serving"] if row["engine"] == name]
        assert sum(row["modules"] for row in rows) == check["adapted"]


def test_nothing_without_an_engine() -> None:
    [check] = check_json([checked_file()])["checks"]
    assert check["serving"] == []


@pytest.mark.parametrize(
    ("engine", "config", "said"),
    [
        ("vllm", {}, "as trained"),
        ("tgi", {}, "x1 on 6 modules (q_proj, v_proj); x0.5 on 3 modules (up_proj)"),
        ("tgi", {"rank_pattern": {}, "use_dora": True}, "not as trained: DoRA left out"),
        (
            "lorax",
            {"use_dora": True},
            "x1 on 6 modules (q_proj, v_proj); x0.5 on 3 modules (up_proj); DoRA left out",
        ),
        ("sglang", {}, "not loaded"),
        ("vllm", {"r": 64}, "as trained with --max-lora-rank 64"),
    ],
)
def test_one_line_an_engine(engine: str, config: dict[str, Any], said: str) -> None:
    text = "\n".join(line.plain for line in check_text([checked_file(engine, **config)], 200))
    title = "TGI" if engine == "tgi" else engines()[engine].title
    [row] = [line for line in text.splitlines() if f"at {title}" in line]
    assert f"{said} ({engines()[engine].version})" in row
