import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from jsonschema import Draft202012Validator

import builders
from lorascope.core.inventory import Inventory
from lorascope.report.schemas import schema_text

Capture = pytest.CaptureFixture[str]


def targets_of(capsys: Capture, *arguments: str) -> list[str]:
    result = run(capsys, "match", "tiny", "--json", *arguments)
    assert result.code == 0, result.err
    value = json.loads(result.out)
    Draft202012Validator(json.loads(schema_text("match"))).validate(value)
    return [target["path"] for target in value["targets"]]


def test_a_list_of_targets(llama: Inventory, capsys: Capture) -> None:
    assert targets_of(capsys, "--targets", "q_proj, v_proj") == [
        f"model.layers.{i}.self_attn.{name}_proj" for i in range(3) for name in "qv"
    ]


def test_a_regular_expression_matches_in_full(llama: Inventory, capsys: Capture) -> None:
    assert targets_of(capsys, "--regex", r".*layers\.1\..*[qk]_proj") == [
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.self_attn.k_proj",
    ]


def test_all_linear_leaves_the_output_embedding_and_exclusions_out(
    llama: Inventory, capsys: Capture
) -> None:
    found = targets_of(capsys, "--all-linear", "--exclude", "gate_proj,up_proj,down_proj")
    assert found == [f"model.layers.{i}.self_attn.{name}_proj" for i in range(3) for name in "qkvo"]


def test_layers_rank_and_alpha(llama: Inventory, capsys: Capture) -> None:
    arguments = ["--targets", "q_proj", "--layers", "2", "--rank", "4", "--alpha", "16", "--rslora"]
    result = run(capsys, "match", "tiny", "--json", *arguments)
    (target,) = json.loads(result.out)["targets"]
    assert target["path"] == "model.layers.2.self_attn.q_proj"
    assert (target["rank"], target["alpha"], target["scaling"]) == (4, 16, 8.0)


def test_target_parameters(serve: Callable[[Inventory], None], capsys: Capture) -> None:
    serve(builders.mixture())
    found = targets_of(capsys, "--targets", "q_proj", "--target-parameters", "experts.down_proj")
    assert "model.layers.1.mlp.experts.down_proj" in found


def test_without_targets_the_default_of_peft(llama: Inventory, capsys: Capture) -> None:
    assert {path.rpartition(".")[2] for path in targets_of(capsys)} == {"q_proj", "v_proj"}


@pytest.mark.parametrize("as_directory", [True, False])
def test_a_configuration_file_or_its_directory(
    llama: Inventory, capsys: Capture, tmp_path: Path, as_directory: bool
) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "LORA", "target_modules": ["k_proj"], "r": 2}))
    argument = str(tmp_path if as_directory else path)
    assert len(targets_of(capsys, "--config", argument)) == 3
    result = run(capsys, "match", "tiny", "--json", "--config", argument, "--rank", "4")
    assert json.loads(result.out)["targets"][0]["rank"] == 4, "an option says more than the file"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "adapter_config.json"),
        ("{", "adapter_config.json"),
        ("[]", "adapter_config.json"),
        ('{"r": "8"}', "r is '8'; expected a whole number."),
    ],
)
def test_a_bad_configuration_file_gets_one_message(
    llama: Inventory, capsys: Capture, tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "adapter_config.json"
    if content is not None:
        path.write_text(content)
    result = run(capsys, "match", "tiny", "--config", str(path))
    assert result.code == 2
    assert result.out == ""
    assert message in result.err.splitlines()[0]


def test_text_shows_what_hits_nothing(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "match", "tiny", "--targets", "q_proj,vproj")
    assert "target_modules 'q_proj' hits 3" in result.out
    assert "target_modules 'vproj' hits nothing" in result.out


def test_nothing_hit_at_all_is_what_peft_refuses(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "match", "tiny", "--targets", "qkv,vproj")
    assert result.code == 2
    assert result.err == ""
    *_, asked, refused = result.out.strip().split("\n\n")
    assert "target_modules 'qkv' hits nothing" in asked
    assert "Nearest real names: q_proj, k_proj, v_proj" in asked
    assert "target_modules 'vproj' hits nothing" in asked
    assert refused.startswith("PEFT would refuse this: Target modules ['qkv', 'vproj'] not found")


def test_a_refusal_as_json_holds_the_entries(llama: Inventory, capsys: Capture) -> None:
    result = run(capsys, "match", "tiny", "--json", "--targets", "qkv")
    assert result.code == 2
    value = json.loads(result.out)
    Draft202012Validator(json.loads(schema_text("match"))).validate(value)
    assert value["refused"].startswith("Target modules ['qkv'] not found")
    assert result.err == f"PEFT would refuse this: {value['refused']}\n"
    assert [entry["nearest"] for entry in value["entries"]] == [["q_proj", "k_proj", "v_proj"]]
    assert value["targets"] == []


def test_what_lorascope_cannot_judge_is_no_refusal_of_peft(
    llama: Inventory, capsys: Capture, tmp_path: Path
) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"target_modules": ["q_proj"], "init_lora_weights": "corda"}))
    result = run(capsys, "match", "tiny", "--config", str(path))
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("Error: init_lora_weights='corda'")


def test_a_catastrophic_expression_neither_hangs_nor_shows_a_traceback(
    llama: Inventory, capsys: Capture
) -> None:
    result = run(capsys, "match", "tiny", "--regex", r"(([a-z_.0-9])+)+!")
    assert result.code == 2
    assert "Traceback" not in result.err
