import argparse
from pathlib import Path

import pytest

from lorascope.cli import check_command
from lorascope.cli.check_settings import Settings, read_settings
from lorascope.cli.parser import build_parser
from lorascope.cli.usage import UsageError

TABLE = """\
[tool.lorascope]
select = ["LT0"]
ignore = ["LT011", "router-adapted"]
severity = "error"
serve = ["vllm"]
"""


def error_of(folder: Path, content: str | bytes) -> str:
    file = folder / "pyproject.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as caught:
        read_settings(folder)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_all_keys(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    assert read_settings(tmp_path) == Settings(
        select=("LT0",), ignore=("LT011", "router-adapted"), severity="error", serve=("vllm",)
    )


@pytest.mark.parametrize("content", ["", "[project]\nname = 'x'\n", "[tool.ruff]\n", "tool = 3\n"])
def test_what_is_not_set_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(content)
    assert read_settings(tmp_path) == Settings()


def test_an_empty_table_sets_nothing_and_ends_the_search(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[tool.lorascope]\n")
    assert read_settings(inner) == Settings()


def test_the_nearest_table_upwards_counts(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    middle = tmp_path / "middle"
    inner = middle / "a" / "b"
    inner.mkdir(parents=True)
    assert read_settings(inner).severity == "error"
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_settings(inner).severity == "error"
    (middle / "pyproject.toml").write_text("[tool.lorascope]\nseverity = 'info'\n")
    assert read_settings(inner) == Settings(severity="info")


def test_a_directory_of_that_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "inner" / "pyproject.toml").mkdir(parents=True)
    assert read_settings(tmp_path / "inner").severity == "error"


@pytest.mark.parametrize(
    ("key", "near"),
    [("ignored", "Did you mean ignore?"), ("SELECT", "Did you mean select?"), ("zzz", "zzz")],
)
def test_an_unknown_key(key: str, near: str, tmp_path: Path) -> None:
    text = error_of(tmp_path, f"[tool.lorascope]\n{key} = []\n")
    assert f"[tool.lorascope] has no key {key!r}." in text
    assert near in text
    assert "Known keys are select, ignore, severity, serve." in text


@pytest.mark.parametrize("value", ["'LT011'", "3", "[1]", "{ a = 1 }", "[['LT011']]", "true"])
@pytest.mark.parametrize("key", ["select", "ignore", "serve"])
def test_a_list_of_strings_is_expected(key: str, value: str, tmp_path: Path) -> None:
    text = error_of(tmp_path, f"[tool.lorascope]\n{key} = {value}\n")
    assert f"{key} is " in text
    assert "expected a list of strings." in text


@pytest.mark.parametrize("value", ["'fatal'", "'ERROR'", "1", "['error']", "{ a = 1 }"])
def test_severity_is_one_of_three(value: str, tmp_path: Path) -> None:
    text = error_of(tmp_path, f"[tool.lorascope]\nseverity = {value}\n")
    assert "severity is " in text
    assert "expected one of error, warning, info." in text


def test_a_near_severity_is_named(tmp_path: Path) -> None:
    text = error_of(tmp_path, "[tool.lorascope]\nseverity = 'warn'\n")
    assert text.endswith("Did you mean warning?")


@pytest.mark.parametrize("content", ["[tool]\nlorascope = 3\n", "[tool]\nlorascope = ['a']\n"])
def test_a_table_is_expected(content: str, tmp_path: Path) -> None:
    assert "expected a table [tool.lorascope]." in error_of(tmp_path, content)


@pytest.mark.parametrize("content", ["[tool.lorascope", "a = ", b"\xff\xfe", "a = " + "[" * 9999])
def test_invalid_toml(content: str | bytes, tmp_path: Path) -> None:
    text = error_of(tmp_path, content)
    assert "is not valid TOML: " in text
    assert text.endswith("Mend it, or leave it out with --isolated.")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    text = error_of(tmp_path, "# " + "x" * 1_000_001)
    assert text.endswith("Mend it, or leave it out with --isolated.")


def options(*arguments: str) -> argparse.Namespace:
    return build_parser()[0].parse_args(["check", "x", *arguments])


def test_isolated_leaves_the_settings_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    assert check_command._settings(options()).severity == "error"
    assert check_command._settings(options("--isolated")) == Settings()
    (tmp_path / "pyproject.toml").write_text("[tool.lorascope")
    assert check_command._settings(options("--isolated")) == Settings()


@pytest.mark.parametrize(
    ("key", "what"), [("serve", "No serving engine is called 'x'."), ("select", "no rule")]
)
def test_a_wrong_name_says_where_it_stands(
    key: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(f'[tool.lorascope]\n{key} = ["x"]\n')
    monkeypatch.chdir(tmp_path)
    options = build_parser()[0].parse_args(["check", "train.yaml"])
    with pytest.raises(UsageError) as caught:
        check_command.run(options)
    assert f"{file}: {key} of [tool.lorascope]: {what}" in str(caught.value)


def test_a_wrong_engine_of_the_command_line_is_not_laid_to_the_file() -> None:
    arguments = ["check", "train.yaml", "--isolated", "--serve", "x"]
    options = build_parser()[0].parse_args(arguments)
    with pytest.raises(UsageError, match="--serve: No serving engine is called 'x'"):
        check_command.run(options)
