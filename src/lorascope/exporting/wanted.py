"""What is wanted, for a tool that says it by roles, or that hands other fields to PEFT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.spec import LoraSpec
from lorascope.exporting.exporter import Outcome
from lorascope.exporting.ways import main_target, plain_number
from lorascope.matching import match
from lorascope.matching.configured import At, Configured


def main_at(wanted: Configured) -> At:
    """Return the rank and scale for a tool that has one for all: those of `main_target`."""
    main = main_target(wanted)
    return At(main.rank, main.scaling)


def plain_alpha(at: At) -> float:
    """Return alpha for a tool whose scale is alpha / rank; a whole number as one."""
    return plain_number(at.scaling * at.rank)


def peft_outcome(fields: Mapping[str, Any], wanted: Configured) -> Outcome:
    """Return what PEFT does with the fields that a tool hands to it.

    Raises:
        SpecificationError: PEFT refuses them.
    """
    spec = LoraSpec.from_dict(fields)
    done = match(wanted.inventory, spec, peft_version=wanted.match.peft_version)
    return Outcome(
        {each.path: At(each.rank, each.scaling) for each in done.targets},
        frozenset(each.path for each in done.saved),
        spec,
    )
