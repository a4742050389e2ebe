"""Whole commands of `lorascope check`: what is printed, written and returned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run

from lorascope.api.bases import BaseModels
from lorascope.core.inventory import Inventory

PHI = "microsoft/Phi-3-mini-4k-instruct"
AXOLOTL = """\
base_model: meta-llama/Llama-3.1-8B
adapter: lora
lora_r: 8  # rank
lora_alpha: 16
lora_target_modules:
  # attention
  - q_proj
  - v_proj,   # a comma too many
"""


@pytest.fixture(autouse=True)
def _small_llama(monkeypatch: pytest.MonkeyPatch, llama: Inventory) -> None:
    """Every base model is the small Llama."""
    monkeypatch.setattr(BaseModels, "_base", lambda self, *names: llama)
    monkeypatch.setattr(BaseModels, "_inspected", lambda self, *names: llama)


def adapter(folder: Path, **fields: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": "meta-llama/Llama-3.1-8B",
        "r": 2,
        "lora_alpha": 4,
        "target_modules": ["q_proj", "v_proj"],
        "task_type": "CAUSAL_LM",
    }
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**config, **fields}, indent=2))
    return path


def test_sound_adapter_leaves_nothing_to_say(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    adapter(tmp_path)
    result = run(capsys, "check", str(tmp_path))
    assert result.code == 0
    assert "'q_proj'" in result.out
    assert "1 configuration checked: nothing found." in result.out


def test_missed_entry_is_a_warning_with_its_line_and_nearest_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    adapter(tmp_path, target_modules=["q_proj", "v_projj"])
    result = run(capsys, "check", str(tmp_path))
    assert result.code == 1
    assert "8:5 warning LT002 target_modules 'v_projj'" in result.out
    assert '8 │     "v_projj"' in result.out
    assert "v_proj" in result.out.partition("LT002")[2]
    assert run(capsys, "check", str(tmp_path), "--severity", "error").code == 0
    assert run(capsys, "check", str(tmp_path), "--ignore", "LT002").code == 0
    assert run(capsys, "check", str(tmp_path), "--select", "LT001").code == 0


def test_fix_changes_only_the_line_concerned(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(AXOLOTL)
    path.chmod(0o640)
    shown = run(capsys, "check", str(path), "--diff")
    assert shown.code == 1
    assert "-  - v_proj,   # a comma too many" in shown.out
    assert "+  - v_proj   # a comma too many" in shown.out
    assert path.read_text() == AXOLOTL
    fixed = run(capsys, "check", str(path), "--fix")
    assert fixed.code == 0
    assert "1 mended" in fixed.err
    assert path.read_text() == AXOLOTL.replace("v_proj,", "v_proj")
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["train.yaml"]


def test_fix_keeps_line_ends_and_byte_order_mark(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "train.yaml"
    before = b"\xef\xbb\xbf" + AXOLOTL.replace("\n", "\r\n").encode()
    path.write_bytes(before)
    run(capsys, "check", str(path), "--fix")
    assert path.read_bytes() == before.replace(b"v_proj,", b"v_proj")


def test_directory_is_walked_and_only_its_configurations_are_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    adapter(tmp_path / "b" / "adapter")
    (tmp_path / "a.yaml").write_text(AXOLOTL)
    (tmp_path / "compose.yaml").write_text("services: {web: {image: nginx}}\n")
    adapter(tmp_path / ".hidden", target_modules=["nothing"])
    result = run(capsys, "check", str(tmp_path), "--json")
    value = json.loads(result.out)
    files = [Path(each["file"]).relative_to(tmp_path).as_posix() for each in value["checks"]]
    assert files == ["a.yaml", "b/adapter/adapter_config.json"]
    assert value["unread"] == []
    assert value["summary"]["errors"] == 1
    assert value["summary"]["left_out"] == 1
    assert result.code == 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("train.yaml", "", "empty"),
        ("adapter_config.json", "{", "JSON"),
        ("train.yaml", "a: [", "line 1"),
        ("train.yaml", "- 1\n- 2\n", "expected"),
        ("train.yaml", "services: {web: 1}", "--format"),
        ("adapter_config.json", '{"peft_type": "IA3"}', "IA3"),
        ("train.yaml", "a: &a [*a]", "line 1"),
    ],
)
def test_file_that_is_no_configuration_is_refused_in_words(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    result = run(capsys, "check", str(path))
    assert result.code == 2
    assert words in result.out
    assert "1 file could not be read." in result.out
    assert "Traceback" not in result.out + result.err


def test_missing_file_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = run(capsys, "check", str(tmp_path / "none.yaml"))
    assert result.code == 2
    assert "none.yaml" in result.out


def test_pickle_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    adapter(tmp_path)
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x04.")
    result = run(capsys, "check", str(tmp_path / "adapter_model.bin"))
    assert result.code == 2
    assert "pickle" in result.out
    beside = run(capsys, "check", str(tmp_path))
    assert beside.code == 0
    assert "adapter_model.bin is a pickle" in beside.out


def test_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    text = json.dumps({"target_modules": ["q_proj", "x_proj"], "r": 4, "peft_type": "LORA"})
    stream = io.TextIOWrapper(io.BytesIO(text.encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    result = run(capsys, "check", "-", "Llama-3.1-8B")
    assert result.code == 1
    assert "LT002" in result.out
    refused = run(capsys, "check", "-", "--fix")
    assert refused.code == 2


def test_quick_question(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "check", "--targets", "q_proj,w_proj", "Llama-3.1-8B")
    assert result.code == 1
    assert "'w_proj'" in result.out
    assert run(capsys, "check", "--targets", "q_proj").code == 2
    assert run(capsys, "check", "--targets", "q_proj", "a", "b").code == 2


def test_github_and_sarif_name_file_and_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.yaml").write_text(AXOLOTL)
    github = run(capsys, "check", "train.yaml", "--format-output", "github")
    assert github.out.startswith("::error file=train.yaml,line=8,col=5,title=lorascope LT033::")
    sarif = json.loads(run(capsys, "check", "train.yaml", "--format-output", "sarif").out)
    [found] = sarif["runs"][0]["results"]
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "train.yaml"
    assert place["region"]["startLine"] == 8


def test_settings_of_the_project_hold_and_options_say_more(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    adapter(tmp_path, target_modules=["q_proj", "v_projj"])
    Path("pyproject.toml").write_text('[tool.lorascope]\nseverity = "error"\n')
    assert run(capsys, "check", "adapter_config.json").code == 0
    assert run(capsys, "check", "adapter_config.json", "--severity", "warning").code == 1
    assert run(capsys, "check", "adapter_config.json", "--isolated").code == 1
    Path("pyproject.toml").write_text('[tool.lorascope]\nignore = ["LT002"]\n')
    assert run(capsys, "check", "adapter_config.json").code == 0
    Path("pyproject.toml").write_text('[tool.lorascope]\nselct = ["LT002"]\n')
    refused = run(capsys, "check", "adapter_config.json")
    assert refused.code == 2
    assert "select" in refused.err


def test_unknown_rule_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    adapter(tmp_path)
    result = run(capsys, "check", str(tmp_path), "--select", "LT999")
    assert result.code == 2
    assert "LT999" in result.err


def test_escape_sequences_of_a_file_never_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    adapter(tmp_path, target_modules=["q_proj", "\x1b[31mred\x07", "\u202ev"])
    for form in ("text", "github", "json", "sarif"):
        result = run(capsys, "check", str(tmp_path), "--format-output", form)
        assert not any(c in result.out + result.err for c in "\x1b\x07\u202e")


def test_read_only_file_is_not_replaced_and_the_others_are(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(AXOLOTL)
    (tmp_path / "a.yaml").chmod(0o444)
    result = run(capsys, "check", str(tmp_path), "--fix")
    assert result.code == 2
    assert f"{tmp_path / 'a.yaml'} is read-only, so it is not mended." in result.out
    assert "1 file could not be written." in result.out
    assert (tmp_path / "a.yaml").read_text() == AXOLOTL
    assert (tmp_path / "b.yaml").read_text() == AXOLOTL.replace("v_proj,", "v_proj")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_utf_16_below_a_directory_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, encoding: str, name: str
) -> None:
    text = AXOLOTL if name == "a.yaml" else '{"base_model": "m", "adapter": "lora"}'
    (tmp_path / name).write_bytes(text.encode(encoding))
    result = run(capsys, "check", str(tmp_path))
    assert result.code == 2
    assert f"{name} is UTF-16 text; expected UTF-8." in result.out


def test_json_training_files_of_a_directory_are_known_by_their_keys(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = "meta-llama/Llama-3.1-8B"
    training = {
        "factory.json": {"model_name_or_path": model, "finetuning_type": "lora", "stage": "sft"},
        "swift.json": {"model": model, "tuner_type": "lora", "lora_rank": 8},
        "trl.json": {"model_name_or_path": model, "use_peft": True, "lora_target_modules": ["x"]},
    }
    others = {"package.json": {"name": "adapters"}, "nested.json": {"a": {"lora_rank": 1}}}
    for name, content in (training | others).items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "data.json").write_text("[1, 2")
    adapter(tmp_path / "adapter")
    (tmp_path / "adapter" / "args.json").write_text(json.dumps(training["swift.json"]))
    value = json.loads(run(capsys, "check", str(tmp_path), "--json").out)
    files = [Path(each["file"]).relative_to(tmp_path).as_posix() for each in value["checks"]]
    assert files == ["adapter/adapter_config.json", *sorted(training)]
    assert value["unread"] == []
    assert value["summary"]["left_out"] == 1


def test_a_folder_full_of_json_files_is_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number in range(201):
        (tmp_path / f"{number}.json").write_text('{"lora_rank": 8}')
    result = run(capsys, "check", str(tmp_path))
    assert result.code == 2
    assert "no JSON file with keys of LoRA" in result.out


def test_adapter_without_weights_says_that_no_tensors_are_compared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    adapter(tmp_path)
    result = run(capsys, "check", str(tmp_path))
    assert "- No weights beside it, so no tensors are compared." in result.out
    (tmp_path / "lora.json").write_text((tmp_path / "adapter_config.json").read_text())
    assert "No weights" not in run(capsys, "check", str(tmp_path / "lora.json")).out


def test_what_is_no_file_is_not_named_as_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    asked = ("check", "--targets", "q_proj,w_proj", "Llama-3.1-8B", "--format-output")
    assert run(capsys, *asked, "github").out.startswith("::warning title=lorascope LT002::w_proj")
    [found] = json.loads(run(capsys, *asked, "sarif").out)["runs"][0]["results"]
    assert found["locations"] == []
    text = json.dumps({"target_modules": ["q_proj"], "r": 4, "peft_type": "LORA"})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run(capsys, "check", "-", "Llama-3.1-8B").out.startswith("standard input  peft\n")
