import re

import pytest
from commands import run

from lorascope.checking import RULES

Capture = pytest.CaptureFixture[str]


def test_without_a_rule_all_are_listed(capsys: Capture) -> None:
    result = run(capsys, "rule")
    assert (result.code, result.err) == (0, "")
    listed = re.findall(r"^(LT\d{3}) +(\w+) +([\w-]+)  ", result.out, re.MULTILINE)
    assert listed == [(rule.code, str(rule.severity), rule.name) for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_is_explained_by_code_or_name(rule: object, capsys: Capture) -> None:
    code, name = rule.code, rule.name  # type: ignore[attr-defined]
    results = [run(capsys, "rule", asked) for asked in (code, code.lower(), name, name.upper())]
    assert {result.code for result in results} == {0}
    assert len({result.out for result in results}) == 1
    assert results[0].out.startswith(f"{code} {name} (")
    assert "Use instead" in results[0].out


def test_a_narrow_page(capsys: Capture) -> None:
    result = run(capsys, "rule", "LT001", "--width", "50")
    prose = result.out[: result.out.index("\nExample\n")]
    assert max(map(len, prose.splitlines())) <= 50


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("LT01", " Did you mean LT0"),
        ("LT999", ""),
        ("nothing-match", " Did you mean nothing-matches?"),
        ("q_proj\x1b[2J", ""),
    ],
)
def test_an_unknown_rule(asked: str, near: str, capsys: Capture) -> None:
    result = run(capsys, "rule", asked)
    assert (result.code, result.out) == (2, "")
    assert "lorascope rule: no rule is called '" in result.err
    assert near in result.err
    assert "List them with: lorascope rule" in result.err
    assert "\x1b" not in result.err
