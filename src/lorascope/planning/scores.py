"""Scores that are handed in: how much it is worth to adapt a module, by name or role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from lorascope.core.errors import PlanError, printable

LARGEST_FILE = 40_000_000
"""Bytes of a file of scores: as many names as a model may have, each of some hundred characters."""
MOST_SCORES = 200_000
"""Entries of one file; models have fewer modules (see `lorascope.build`)."""
_LARGEST = 1e100


def parse_scores(content: bytes, where: str) -> Mapping[str, float]:
    """Read scores from JSON: one object of module name or role → finite number.

    Args:
        content: UTF-8, with or without a byte order mark.
        where: What messages call it.

    Raises:
        PlanError: It is not such an object, is empty, or names something twice.
    """
    try:
        read = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=lambda pairs: _without_doubles(pairs, where),
            parse_constant=lambda word: _not_finite(word, where),
        )
    except UnicodeDecodeError as error:
        raise PlanError(f"{where} is not UTF-8 text (byte {error.start:,}).", _EXPECTED) from error
    except RecursionError as error:
        raise PlanError(f"{where} is nested; expected one flat object.", _EXPECTED) from error
    except json.JSONDecodeError as error:
        raise PlanError(
            f"{where} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            _EXPECTED,
        ) from error
    except ValueError as error:  # an integer of more than 4300 digits
        raise PlanError(f"{where} holds a number that is too long.", _EXPECTED) from error
    return check_scores(read, where)


def check_scores(scores: object, where: str) -> Mapping[str, float]:
    """Return scores as floats, or say what is wrong with them.

    Raises:
        PlanError: They are no mapping of names to finite numbers, or empty.
    """
    if not isinstance(scores, Mapping):
        raise PlanError(f"{where} is no object of names and numbers.", _EXPECTED)
    if not 0 < len(scores) <= MOST_SCORES:
        raise PlanError(
            f"{where} holds {len(scores):,} scores; expected 1 to {MOST_SCORES:,}.", _EXPECTED
        )
    return {_name(name, where): _number(name, value, where) for name, value in scores.items()}


def _name(name: object, where: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise PlanError(f"{where} holds {name!r} as a name; expected a module or role.", _EXPECTED)
    return name


def _number(name: object, value: object, where: str) -> float:
    quoted = printable(name, 100)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PlanError(f"{where}: the score of {quoted} is {value!r:.100}; expected a number.")
    if not abs(value) <= _LARGEST:
        raise PlanError(
            f"{where}: the score of {quoted} is {value!r:.100}; expected a finite number up to"
            f" {_LARGEST:g}."
        )
    return float(value)


def _without_doubles(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise PlanError(
                f"{where} scores {printable(name, 100)} twice; expected each name once."
            )
        found[name] = value
    return found


def _not_finite(word: str, where: str) -> NoReturn:
    raise PlanError(f"{where} holds {word}; expected finite numbers.", _EXPECTED)


_EXPECTED = 'For example {"q": 2.5, "model.layers.0.mlp.down_proj": 0.3}.'
