"""What one rule finds in one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from check_models import subject

from lorascope.checking import Example, Rule, findings_of
from lorascope.core.finding import Finding


def found(
    rule: Rule, model: str, config: Mapping[str, Any] | str, **example: Any
) -> tuple[Finding, ...]:
    """Return the rule's findings alone; further arguments are those of `Example`."""
    return findings_of(subject(Example(model, config, **example)), (rule,))
