import re

import pytest
from checks import UNKNOWN_MODEL, checked_of, file_of, finding_of, some_files

from lorascope.checking.checked import CheckedFile
from lorascope.core.errors import RecipeError
from lorascope.report.github_annotations import github_annotations

COMMAND = re.compile(r"::(error|warning|notice) ([^:\n]*)::([^\n]*)")


def read(command: str) -> tuple[str, dict[str, str], str]:
    """What GitHub reads of a command."""
    found = COMMAND.fullmatch(command)
    assert found is not None, command
    name, properties, message = found.groups()
    pairs = [each.partition("=") for each in properties.split(",")]
    return name, {key: unescaped(value) for key, _, value in pairs}, unescaped(message)


def unescaped(text: str) -> str:
    for code, char in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, char)
    return text


def test_one_command_a_finding_and_a_failure() -> None:
    commands = list(github_annotations(some_files()))
    assert commands[1] == (
        "::warning file=adapter/adapter_config.json,line=3,col=42,title=lorascope LT002::"
        "vproj: It matches no module. Write v_proj."
    )
    read_back = [read(command) for command in commands]
    assert [name for name, _, _ in read_back] == [
        "error",
        "warning",
        "notice",
        "error",
        "error",
        "error",
    ]
    assert [place.get("title") for _, place, _ in read_back] == [
        "lorascope LT001",
        "lorascope LT002",
        "lorascope LT032",
        None,
        "lorascope LT006",
        None,
    ]
    assert read_back[3][2] == "The Hub has no owner/tiny. Name it as MODEL."
    assert read_back[5] == (
        "error",
        {"file": "broken.yaml"},
        "broken.yaml is no YAML. Mend line 3.",
    )


def test_a_finding_without_a_place_names_the_file() -> None:
    [command] = github_annotations([file_of(checked_of(finding_of(spot=None)))])
    assert read(command)[1] == {
        "file": "adapter/adapter_config.json",
        "title": "lorascope LT002",
    }


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a,b.yaml", "a,b.yaml"),
        ("C:/a:b.yaml", "C:/a:b.yaml"),
        ("100%.yaml", "100%.yaml"),
        ("50%2C.yaml", "50%2C.yaml"),
        ("a\nb.yaml", "a\\nb.yaml"),
        ("a::error::b.yaml", "a::error::b.yaml"),
    ],
)
def test_a_path_cannot_break_out(path: str, shown: str) -> None:
    [command] = github_annotations([file_of(checked_of(finding_of()), path=path)])
    assert read(command)[1]["file"] == shown
    [failure] = github_annotations([CheckedFile(path, error=RecipeError("It is broken."))])
    assert read(failure)[1] == {"file": shown}


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ("q_proj\n::error::x", "q_proj\\n::error::x"),
        ("q_proj\r::error::x", "q_proj\\r::error::x"),
        ("100%, all", "100%, all"),
        ("%0A::set-output", "%0A::set-output"),
        ("\x1b[2J\u2028", "\\x1b[2J\\u2028"),
    ],
)
def test_a_message_cannot_break_out(entry: str, shown: str) -> None:
    [command] = github_annotations([file_of(checked_of(finding_of(entry=entry)))])
    assert read(command)[2].startswith(f"{shown}: It matches")


def test_an_endless_entry_is_cut() -> None:
    [command] = github_annotations([file_of(checked_of(finding_of(entry="q" * 10**6)))])
    assert len(command) < 5_000


def test_what_is_no_file_is_not_named_as_one() -> None:
    checked = CheckedFile("--targets", (checked_of(finding_of()), UNKNOWN_MODEL), is_file=False)
    first, second, third = github_annotations([checked])
    assert first == "::error::The Hub has no owner/tiny. Name it as MODEL."
    assert read(second)[1] == {"title": "lorascope LT002"}
    assert read(third)[1] == {"title": "lorascope LT006"}
