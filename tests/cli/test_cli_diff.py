import json
from pathlib import Path
from typing import Any

import pytest
from commands import run
from jsonschema import Draft202012Validator

import lorascope
from lorascope.core.errors import UnnamedModelError
from lorascope.matching.difference import Difference
from lorascope.report.schemas import schema_text

Capture = pytest.CaptureFixture[str]
MODEL = "HuggingFaceTB/SmolLM2-135M"
EXAMPLE = "SmolLM2-135M"
"""The built-in example that stands in for it without a network."""
PLAIN: dict[str, Any] = {
    "peft_type": "LORA",
    "base_model_name_or_path": MODEL,
    "task_type": "CAUSAL_LM",
    "r": 16,
    "lora_alpha": 32,
    "target_modules": ["q_proj", "v_proj"],
}
AXOLOTL = f"""\
base_model: {MODEL}
adapter: lora
lora_r: 16
lora_alpha: 32
lora_target_modules: [q_proj, v_proj]
"""


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory of configurations, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    write("a.json")
    write("regex.json", target_modules=r".*\.(q|v)_proj", lora_alpha=8, use_rslora=True)
    write("more.json", target_modules=["q_proj", "v_proj", "o_proj"], r=8)
    write("nameless.json", base_model_name_or_path=None)
    write("llama.json", base_model_name_or_path="meta-llama/Llama-3.1-8B")
    write("fused.json", target_modules=["qkv_proj"])
    Path("train.yaml").write_text(AXOLOTL)
    (tmp_path / "adapter").mkdir()
    write("adapter/adapter_config.json")
    (tmp_path / "empty").mkdir()
    return tmp_path


def write(name: str, **changes: Any) -> None:
    fields = {key: value for key, value in (PLAIN | changes).items() if value is not None}
    Path(name).write_text(json.dumps(fields))


def last_line(capsys: Capture, *arguments: str, code: int) -> str:
    result = run(capsys, "diff", *arguments)
    assert (result.code, result.err) == (code, "")
    return result.out.splitlines()[-1]


@pytest.mark.parametrize(
    "other", ["a.json", "adapter", "adapter/adapter_config.json", "train.yaml"]
)
def test_the_same_by_any_way_of_writing_it(capsys: Capture, other: str) -> None:
    assert last_line(capsys, "a.json", other, code=0).startswith(
        "The same: 60 modules at the same ranks and scales; "
    )


def test_a_list_and_a_regular_expression(capsys: Capture) -> None:
    assert last_line(capsys, "a.json", "regex.json", code=0) == (
        "The same: 60 modules at the same ranks and scales; only the spelling differs: lora_alpha"
        " (32 / 8), target_modules (list of 2 / regular expression), use_rslora (false / true)."
    )


def test_what_differs(capsys: Capture) -> None:
    result = run(capsys, "diff", "a.json", "more.json")
    assert (result.code, result.err) == (1, "")
    assert "Only in B: 30 modules\n" in result.out
    assert "model.layers.{0-29}.self_attn.o_proj" in result.out
    assert "16 → 8     32  2 → 4" in result.out
    assert result.out.splitlines()[-1] == (
        "They differ: 30 modules only in B; 60 modules with other rank and scale."
    )


def test_another_dropout_alone_is_a_difference(capsys: Capture) -> None:
    write("dropout.json", lora_dropout=0.1)
    assert last_line(capsys, "a.json", "dropout.json", code=1) == (
        "The same: 60 modules at the same ranks and scales; the training differs: lora_dropout"
        " (0 / 0.1)."
    )


def test_the_json_of_a_plan(capsys: Capture) -> None:
    planned = run(capsys, "plan", EXAMPLE, "--preset", "attention", "--json")
    Path("plan.json").write_text(planned.out)
    line = last_line(capsys, "a.json", "plan.json", code=1)
    assert "60 modules only in B" in line


def test_the_model_of_one_serves_for_both(capsys: Capture) -> None:
    for sides, which in ((("nameless.json", "a.json"), "A"), (("a.json", "nameless.json"), "B")):
        result = run(capsys, "diff", *sides)
        assert (result.code, result.err) == (0, "")
        assert f"- {which} names no base model; that of the other is taken." in result.out


@pytest.mark.parametrize("model", [[EXAMPLE], ["--model", EXAMPLE]])
def test_a_model_for_both(capsys: Capture, model: list[str]) -> None:
    assert last_line(capsys, "nameless.json", "llama.json", *model, code=0).startswith("The same")


def test_json(capsys: Capture) -> None:
    schema = Draft202012Validator(json.loads(schema_text("diff")))
    for other, same in (("regex.json", True), ("more.json", False)):
        result = run(capsys, "diff", "a.json", other, "--json")
        assert result.code == (0 if same else 1)
        value = json.loads(result.out)
        schema.validate(value)
        assert value["is_same"] is same
        assert (value["a"]["origin"], value["b"]["origin"]) == ("a.json", other)
    assert len(value["only_in_b"]) == 30
    assert value["only_in_a"] == []
    assert len(value["changed"]) + value["alike"] == value["a"]["targets"] == 60
    assert value["changed"][0]["differs_in"] == ["rank", "scale", "params"]
    assert (value["changed"][0]["a"]["rank"], value["changed"][0]["b"]["rank"]) == (16, 8)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["a.json", "missing.yaml"], "missing.yaml does not exist", "Name an adapter"),
        (["empty", "a.json"], "The directory empty holds no adapter_config.json.", "Name the dir"),
        (
            ["nameless.json", "nameless.json"],
            "Neither A nor B names a base model.",
            "Name it: lorascope diff A B MODEL, or model=… in Python.",
        ),
        (
            ["a.json", "llama.json"],
            "A is for SmolLM2-135M (LlamaForCausalLM), B for Llama-3.1-8B (LlamaForCausalLM), whose"
            " modules are not the same: only that of B has model.layers.30.self_attn.q_proj.",
            "Name one model to compare both on",
        ),
        (
            ["train.yaml", "a.json", "--format-a", "trl"],
            "train.yaml is a file of Axolotl; expected one of TRL.",
            "Name another file",
        ),
        (
            ["train.yaml", "a.json", "--format-b", "axolotl"],
            "a.json is a file of PEFT; expected one of Axolotl.",
            "Name another file",
        ),
        (["a.json", "fused.json"], "fused.json: PEFT refuses this configuration:", "`loras"),
        (["a.json", ""], "lorascope diff: expected B, got ''", "See: lorascope diff --help"),
        (["a.json"], "lorascope diff: the following arguments are required: B", "See:"),
        (["a.json", "a.json", EXAMPLE, "--model", EXAMPLE], "lorascope diff: MODEL is given", "G"),
        (
            ["a.json", "a.json", "--format-a", "axolotel"],
            "lorascope diff: argument --format-a: 'axolotel' is not one of",
            "See:",
        ),
    ],
)
def test_what_cannot_be_compared(
    capsys: Capture, arguments: list[str], message: str, hint: str
) -> None:
    result = run(capsys, "diff", *arguments)
    assert (result.code, result.out) == (2, "")
    what, then = result.err.splitlines()
    assert what.startswith(f"Error: {message}")
    assert then.startswith(hint)


def test_an_error_as_json(capsys: Capture) -> None:
    result = run(capsys, "diff", "a.json", "llama.json", "--json")
    assert result.code == 2
    assert json.loads(result.out)["error"]["type"] == "IncomparableError"


def test_a_script_of_two_commands_is_ambiguous(capsys: Capture) -> None:
    command = f"trl sft --model_name_or_path {MODEL} --use_peft --lora_r 16\n"
    Path("train.sh").write_text(command * 2)
    result = run(capsys, "diff", "train.sh", "a.json")
    assert result.code == 2
    assert "train.sh holds 2 configurations (line 1, line 2); expected one." in result.err


def test_the_function() -> None:
    nameless = {key: value for key, value in PLAIN.items() if key != "base_model_name_or_path"}
    found = lorascope.diff("a.json", nameless | {"r": 8})  # type: ignore[operator]
    assert isinstance(found, Difference)
    assert len(found.changed) == 60
    with pytest.raises(UnnamedModelError):
        lorascope.diff(nameless, nameless)  # type: ignore[operator]
    assert lorascope.diff(nameless, nameless, EXAMPLE).is_same  # type: ignore[operator]


def test_the_value_agrees_with_the_exit_code(capsys: Capture) -> None:
    write("dropout.json", lora_dropout=0.1)
    result = run(capsys, "diff", "a.json", "dropout.json", "--json")
    value = json.loads(result.out)
    assert result.code == 1
    assert (value["is_same"], value["adapts_alike"], value["trains_alike"]) == (False, True, False)


def test_the_hint_names_the_option_of_its_side(capsys: Capture) -> None:
    Path("odd.yaml").write_text("x: 1\n")
    for sides, option in ((("odd.yaml", "a.json"), "a"), (("a.json", "odd.yaml"), "b")):
        result = run(capsys, "diff", *sides)
        assert result.code == 2
        assert f"Say whose it is with --format-{option} (tool_{option} in Python)" in result.err


def test_a_file_of_python_is_not_read(capsys: Capture) -> None:
    Path("train.py").write_text("from unsloth import FastLanguageModel\n\nx = 1\n")
    result = run(capsys, "diff", "train.py", "a.json")
    assert result.code == 2
    assert result.err.startswith("Error: train.py is Python, which is not read: ")


def test_an_adapter_that_is_resumed_is_told(capsys: Capture) -> None:
    Path("resumed.yaml").write_text(AXOLOTL + "lora_model_dir: ./x\n")
    result = run(capsys, "diff", "a.json", "resumed.yaml")
    assert "B: resumed.yaml resumes ./x (lora_model_dir): its configuration is that" in result.out
