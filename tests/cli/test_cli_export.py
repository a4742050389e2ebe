import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from jsonschema import Draft202012Validator

import builders
from lorascope.api.bases import BaseModels
from lorascope.cli.export_command import TOOLS, TRAINERS
from lorascope.core.export import Trainer
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Tool
from lorascope.report.schemas import schema_text

Capture = pytest.CaptureFixture[str]
BASE = "Llama-3.1-8B"


@pytest.fixture(autouse=True)
def _tiny(serve: Callable[[Inventory], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is the small Llama, by the name of a real one."""
    inventory = builders.completed(
        builders.llama(
            base_model="meta-llama/Llama-3.1-8B",
            task_type="CAUSAL_LM",
            input_embedding="model.embed_tokens",
            output_embedding="lm_head",
        )
    )
    serve(inventory)
    for name in ("given", "named"):
        monkeypatch.setattr(BaseModels, name, lambda *_, **__: inventory)


def test_the_words_of_the_options_are_those_of_the_library() -> None:
    assert tuple(Trainer) == TRAINERS
    assert set(TOOLS) == set(Tool)


def test_a_model_is_planned_for(capsys: Capture) -> None:
    result = run(capsys, "export", "tiny", "--preset", "attention", "--to", "axolotl")
    assert (result.code, result.err) == (0, "")
    assert "from preset attention for tiny\n" in result.out.partition("\n")[0] + "\n"
    assert "lora_target_modules: [q_proj, k_proj, v_proj, o_proj]\n" in result.out


def test_what_would_be_lost_is_refused(capsys: Capture) -> None:
    result = run(capsys, "export", "tiny", "--preset", "extended", "--to", "trl")
    assert result.code == 2
    assert result.out == ""
    assert result.err.splitlines() == [
        "Error: TRL 1.16.0 cannot say all of preset extended for tiny.",
        "9 modules would get another rank from TRL: model.layers.0.mlp.gate_proj 8 instead of 4, …."
        " TRL's options have one rank for all modules; its Python takes any LoraConfig.",
        "Nothing was written. With --lossy the rest is written all the same.",
    ]


def test_lossy_writes_it_and_lists_what_is_lost(capsys: Capture) -> None:
    result = run(capsys, "export", "tiny", "--preset", "extended", "--to", "trl", "--lossy")
    assert result.code == 0
    assert result.out.partition("\n")[2].startswith("trl sft \\\n")
    assert result.err.startswith("Lost: 9 modules would get another rank from TRL")


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [((), False), (("--preset", "extended"), True), (("--preset", "extended", "--lossy"), False)],
)
def test_json(capsys: Capture, arguments: tuple[str, ...], refused: bool) -> None:
    result = run(capsys, "export", "tiny", "--to", "ms-swift", "--json", *arguments)
    assert result.code == (2 if refused else 0)
    value = json.loads(result.out)
    Draft202012Validator(json.loads(schema_text("export"))).validate(value)
    assert value["refused"] is refused
    assert (value["text"] is None) is refused
    assert bool(value["losses"]) is bool(arguments)


def test_an_adapter_and_back(capsys: Capture, tmp_path: Path) -> None:
    made = run(capsys, "export", "tiny", "--to", "peft", "-o", str(tmp_path))
    path = tmp_path / "adapter_config.json"
    assert (made.code, made.out, made.err) == (0, "", f"Wrote {path}\n")
    config = json.loads(path.read_text())
    assert config["base_model_name_or_path"] == "meta-llama/Llama-3.1-8B"
    for source in (tmp_path, path):
        result = run(capsys, "export", str(source), BASE, "--to", "axolotl")
        assert result.code == 0, result.err
        assert "lora_target_modules: [q_proj, v_proj]\n" in result.out


def test_the_json_of_a_plan(capsys: Capture, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(run(capsys, "plan", BASE, "--json").out)
    result = run(capsys, "export", str(plan), "--to", "llamafactory")
    assert result.code == 0, result.err
    assert "lora_target: q_proj,v_proj\n" in result.out


def test_one_trainers_file_for_another(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "axolotl.yaml"
    path.write_text(
        "base_model: meta-llama/Llama-3.1-8B\nadapter: lora\nlora_r: 16\nlora_alpha: 32\n"
        "lora_target_linear: true\n"
    )
    result = run(capsys, "export", str(path), "--to", "mlx-lm")
    assert result.code == 0, result.err
    assert "    - mlp.down_proj\n" in result.out
    assert "  rank: 16\n  scale: 2.0\n" in result.out


def test_a_file_that_exists_stays(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "sub" / "axolotl.yaml"
    arguments = ("export", "tiny", "--to", "axolotl", "-o", str(path))
    assert run(capsys, *arguments).code == 0
    assert run(capsys, *arguments).code == 0  # it says the same
    path.write_text("mine\n")
    result = run(capsys, *arguments)
    assert result.code == 2
    assert f"{path} exists and differs." in result.err
    assert path.read_text() == "mine\n"
    assert run(capsys, *arguments, "--force").code == 0
    assert "lora_r: 8" in path.read_text()


def test_into_a_file(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    before = b"\xef\xbb\xbfbase_model: meta-llama/Llama-3.1-8B # b\r\nadapter: qlora\r\nlr: 1\r\n"
    path.write_bytes(before)
    path.chmod(0o640)
    arguments = ("export", "tiny", "--to", "axolotl", "--into", str(path))
    shown = run(capsys, *arguments, "--diff")
    assert shown.code == 0
    assert "+lora_r: 8" in shown.out
    assert path.read_bytes() == before
    result = run(capsys, *arguments)
    assert (result.code, result.out, result.err) == (0, "", f"Wrote {path}\n")
    after = path.read_bytes()
    assert after.startswith(
        b"\xef\xbb\xbfbase_model: meta-llama/Llama-3.1-8B # b\r\nadapter: qlora\r\nlora_r: 8\r\n"
    )
    assert after.endswith(b"\r\nlr: 1\r\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    again = run(capsys, *arguments, "--diff")
    assert (again.code, again.out) == (0, "")


def test_into_nothing_that_would_be_lost(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    text = "trl sft --model_name_or_path meta-llama/Llama-3.1-8B --use_peft\n"
    path.write_text(text)
    arguments = ("export", "tiny", "--preset", "extended", "--to", "trl", "--into", str(path))
    assert run(capsys, *arguments).code == 2
    assert path.read_text() == text
    assert run(capsys, *arguments, "--lossy").code == 0
    assert "--lora_target_modules q_proj v_proj gate_proj" in path.read_text()


def test_a_file_of_another_tool_than_claimed(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("base_model: meta-llama/Llama-3.1-8B\nadapter: lora\nlora_r: 8\n")
    result = run(capsys, "export", str(path), "--format", "trl", "--to", "peft")
    assert result.code == 2
    assert "is a file of Axolotl; expected one of TRL" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "axolotll"), "'axolotll' is not one of peft, trl, axolotl"),
        ((), "the following arguments are required: --to"),
        (("--to", "trl", "-o", "x", "--into", "y"), "--output and --into are both given"),
        (("--to", "trl", "--force"), "--force is given without --output"),
        (("--to", "trl", "--diff"), "--diff is given without --into"),
        (("--to", "trl", "-o", ""), "--output is empty"),
        (("--to", "trl", "--into", "missing.yaml"), "There is no file missing.yaml to put it into"),
        (("--to", "torchtune", "--rank", "0"), "'0' is no whole number above 0"),
    ],
)
def test_wrong_use(capsys: Capture, arguments: tuple[str, ...], said: str) -> None:
    result = run(capsys, "export", "tiny", *arguments)
    assert result.code == 2
    assert said in result.err


def test_options_of_a_plan_beside_a_configuration(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "LORA", "target_modules": ["q_proj"]}))
    result = run(capsys, "export", str(path), BASE, "--to", "trl", "--rank", "8", "--preset", "qv")
    assert result.code == 2
    assert "--preset, --rank is given with" in result.err
    assert "which is a configuration already" in result.err


@pytest.mark.parametrize("name", ["missing.yaml", "missing.json", "run.sh"])
def test_a_file_that_is_not_there(capsys: Capture, name: str) -> None:
    result = run(capsys, "export", name, "--to", "trl")
    assert result.code == 2
    assert f"There is no file {name}." in result.err


def test_a_models_config_is_a_model(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    for reference in (tmp_path, path):
        result = run(capsys, "export", str(reference), "--to", "axolotl")
        assert result.code == 0, result.err


def test_a_model_that_a_tool_cannot_train(
    serve: Callable[[Inventory], None], capsys: Capture
) -> None:
    serve(builders.llama(model_type="bert"))
    result = run(capsys, "export", "tiny", "--to", "mlx-lm")
    assert (result.code, result.out) == (2, "")
    assert "mlx-lm 0.32.2 has no class for the model type 'bert'" in result.err


def test_a_configuration_that_names_no_model(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "LORA", "target_modules": ["q_proj"]}))
    result = run(capsys, "export", str(path), "--to", "trl")
    assert result.code == 2
    assert result.err == (
        f"Error: {path} names no base model.\nName it: lorascope export PLAN MODEL --to TOOL.\n"
    )


def test_a_model_beside_what_is_no_file(capsys: Capture) -> None:
    result = run(capsys, "export", BASE, BASE, "--to", "trl")
    assert result.code == 2
    assert "There is no file or directory Llama-3.1-8B." in result.err
    assert "a model is named alone" in result.err


def test_an_error_as_json(capsys: Capture) -> None:
    result = run(capsys, "export", "missing.yaml", "--to", "trl", "--json")
    assert result.code == 2
    assert json.loads(result.out)["error"]["message"] == "There is no file missing.yaml."


def test_messages_are_wrapped(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    result = run(capsys, "export", "tiny", "--preset", "extended", "--to", "trl", "--lossy")
    assert result.err.startswith("Lost: 9 modules would get another rank\n")
    assert all(len(line) <= 40 for line in result.err.splitlines())
    assert "--model_name_or_path meta-llama/Llama-3.1-8B \\\n" in result.out


def test_labels_are_coloured_on_a_terminal(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    result = run(capsys, "export", "tiny", "--preset", "extended", "--to", "trl")
    assert result.err.startswith("\x1b[1;31mError:\x1b[0m TRL 1.16.0 cannot say all of")


def test_no_dropout_is_planned_for_a_tool_that_has_none(capsys: Capture) -> None:
    result = run(capsys, "export", "tiny", "--to", "verl")
    assert result.code == 0
    assert result.err.startswith("The plan has no dropout, since verl has none.\n")
    assert run(capsys, "export", "tiny", "--to", "verl", "--dropout", "0.1").code == 2


def test_into_a_file_of_another_model(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.yaml"
    text = "base_model: gpt2\nadapter: lora\nlora_r: 8\n"
    path.write_text(text)
    other = builders.inventory_of([builders.linear("h.0.attn.c_proj", (8, 8))])
    monkeypatch.setattr(BaseModels, "named", lambda *_: other)
    result = run(capsys, "export", "tiny", "--to", "axolotl", "--into", str(path))
    assert result.code == 2
    assert f"{path} trains gpt2, and the configuration is for meta-llama/Llama-3.1-8B" in result.err
    assert path.read_text() == text
