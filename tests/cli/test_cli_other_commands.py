import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import shtab
from commands import run
from jsonschema import Draft202012Validator

from lorascope.report.schemas import SCHEMA_NAMES, schema_text
from lorascope.source.examples import list_examples

Capture = pytest.CaptureFixture[str]


def test_models_lists_every_example(capsys: Capture) -> None:
    result = run(capsys, "models")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    for example in list_examples():
        (line,) = [line for line in lines if line.startswith(f"{example.name} ")]
        assert example.hub_id in line
        assert str(example.config["model_type"]) in line


def test_models_json_keeps_to_its_schema(capsys: Capture) -> None:
    value = json.loads(run(capsys, "models", "--json").out)
    Draft202012Validator(json.loads(schema_text("models"))).validate(value)
    assert len(value["models"]) >= 20


def test_models_at_a_narrow_width(capsys: Capture) -> None:
    result = run(capsys, "models", "--width", "40")
    assert max(map(len, result.out.splitlines())) <= 40
    assert "Llama-3.1-8B" in result.out


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_schema_prints_the_published_file(name: str, capsys: Capture) -> None:
    result = run(capsys, "schema", name)
    assert (result.code, result.out) == (0, schema_text(name))


@pytest.mark.parametrize(
    ("shell", "sign"),
    [
        ("bash", "-F _shtab_lorascope lorascope"),
        ("zsh", "#compdef lorascope"),
        ("tcsh", "complete"),
    ],
)
def test_completion_knows_commands_options_and_values(
    shell: str, sign: str, capsys: Capture
) -> None:
    result = run(capsys, "completion", shell)
    assert (result.code, result.err) == (0, "")
    assert sign in result.out
    for word in ("inspect", "plan", "--preset", "all-linear", "--tower", "vision"):
        assert word in result.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ins"], {"inspect"}),
        (["plan", "--pre"], {"--preset"}),
        (["plan", "--preset", "al"], {"all-linear"}),
        (["plan", "--optimizer", "adamw-"], {"adamw-8bit"}),
        (["plan", "--gradient-"], {"--gradient-accumulation", "--gradient-checkpointing"}),
        (["inspect", "x", "--tower", "vi"], {"vision"}),
        (["schema", "c"], {"compare", "check"}),
        (["schema", "ch"], {"check"}),
        (["check", "x", "--format-"], {"--format-output"}),
        (["check", "x", "--format-output", "sa"], {"sarif"}),
        (["check", "x", "--format", "ms"], {"ms-swift"}),
        (["inspect", "Llama-3"], {"Llama-3.1-8B", "Llama-3.1-70B"}),
        (["match", "Phi-3"], {"Phi-3-mini"}),
        (["check", "--model", "Phi-3"], {"Phi-3-mini"}),
        (["check", "Phi-3"], {"Phi-3-mini"}),
        (["diff", "x", "y", "Phi-3"], {"Phi-3-mini"}),
        (["diff", "x", "--format-"], {"--format-a", "--format-b"}),
        (["rule", "LT01"], {f"LT01{i}" for i in range(10)}),
        (["rule", "nothing"], {"nothing-matches"}),
    ],
)
def test_completion_in_bash(
    words: list[str], expected: set[str], capsys: Capture, tmp_path: Path
) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(run(capsys, "completion", "bash").out)
    typed = " ".join(shlex.quote(word) for word in ["lorascope", *words])
    ask = (
        f"source {shlex.quote(str(script))}; COMP_WORDS=({typed}); COMP_CWORD={len(words)};"
        ' _shtab_lorascope; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_completion_of_models_by_files_too(capsys: Capture, tmp_path: Path) -> None:
    script = run(capsys, "completion", "bash").out
    (tmp_path / "mine.gguf").touch()
    done = subprocess.run(
        ["bash", "-c", f"{script}\n_lorascope_models min"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout.split() == ["mine.gguf"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_completion_in_zsh_offers_the_examples(capsys: Capture, tmp_path: Path) -> None:
    script = tmp_path / "_lorascope"
    script.write_text(run(capsys, "completion", "zsh").out)
    subprocess.run(["zsh", "-n", str(script)], check=True)
    assert "_alternative 'examples:built-in example:(BERT-base " in script.read_text()
    assert ":_lorascope_models" in script.read_text()


@pytest.mark.skipif("fish" not in shtab.SUPPORTED_SHELLS, reason="this shtab has no fish")
def test_completion_for_fish(capsys: Capture) -> None:
    result = run(capsys, "completion", "fish")
    assert (result.code, result.err) == (0, "")
    assert "complete -c lorascope" in result.out
    assert "all-linear" in result.out
    assert "BERT-base " in result.out


def test_a_shell_that_this_shtab_lacks(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shtab, "SUPPORTED_SHELLS", ["bash", "zsh", "tcsh"])
    result = run(capsys, "completion", "fish")
    assert result.code == 2
    assert "cannot write completions for fish" in result.err
    assert "pip install --upgrade shtab" in result.err
