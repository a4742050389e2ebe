"""Exact roles, layers, towers and hazards of fourteen families, reviewed line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from role_models import FAMILIES, assigned, golden_lines

from lorascope.core.roles import Evidence, Role

GOLDENS = Path(__file__).parent / "goldens"


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_roles_are_the_reviewed_ones(family: str) -> None:
    inventory = assigned(family)
    lines = [f"# main towers: {' '.join(inventory.model.main_towers)}", *golden_lines(inventory)]
    assert lines == (GOLDENS / f"{family}.tsv").read_text("utf-8").splitlines()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_named_role_cites_its_row(family: str) -> None:
    for module in assigned(family).modules:
        assert (module.role is Role.UNKNOWN) == (module.evidence is Evidence.UNKNOWN)
        assert (module.evidence is Evidence.NAMED) == (module.rule is not None)


def test_no_golden_is_left_over() -> None:
    assert {path.stem for path in GOLDENS.iterdir()} == set(FAMILIES)
