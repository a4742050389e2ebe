"""Every rule fires on its failing example, with a useful text, and keeps silent on the other."""

from __future__ import annotations

import re

import pytest
from check_models import findings

from lorascope.checking import RULES, Rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_failing_example_is_found(rule: Rule) -> None:
    found = [finding for finding in findings(rule.bad) if finding.code == rule.code]
    assert found, [finding.code for finding in findings(rule.bad)]
    for finding in found:
        assert finding.message.endswith((".", "?"))
        assert finding.hint.strip()
        assert len(finding.paths) <= 5


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_passing_example_is_not_found(rule: Rule) -> None:
    assert rule.code not in [finding.code for finding in findings(rule.good)]


def test_codes_are_unique_and_in_order() -> None:
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"LT\d{3}", code) for code in codes)
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_rule_lies_in_a_file_of_its_own_name(rule: Rule) -> None:
    module = rule.find.__module__.rpartition(".")[2]
    assert module == f"{rule.code.lower()}_{rule.name.replace('-', '_')}"
    assert rule.reports
