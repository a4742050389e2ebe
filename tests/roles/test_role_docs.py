"""The page on roles names every role and every hazard, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from lorascope.core.inventory import HAZARDS
from lorascope.core.roles import Role
from lorascope.roles.tables import parse_table

PAGE = (Path(__file__).parents[2] / "docs" / "roles.md").read_text("utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)


def test_every_role_has_a_row() -> None:
    named: list[str] = []
    for cell in first_cells(section("The words")):
        stem = ""
        for word in re.findall(r"`([^`]+)`", cell):
            if word.startswith("."):
                word = stem + word
            stem = word.rpartition(".")[0]
            named.append(word)
    assert sorted(named) == sorted(Role)


def test_hazards_of_names_have_a_row() -> None:
    assert {cell.strip("`") for cell in first_cells(section("Hazards"))} <= set(HAZARDS)


def test_the_example_table_is_a_valid_one() -> None:
    example = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(example) == 1
    assert parse_table("family", example[0])[0].role is Role.SSM_IN
