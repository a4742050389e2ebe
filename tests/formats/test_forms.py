"""Values in the types that a tool takes."""

from __future__ import annotations

from typing import Any

import pytest

from lorascope.formats.forms import (
    ANYTHING,
    BY_NAME,
    FLAG,
    FLAG_OR_TEXT,
    INDICES,
    LOOSE_WHOLE,
    NAME_OR_NAMES,
    NAMES,
    NAMES_OR_TEXT,
    NUMBER,
    RANGES,
    STRICT_WHOLE,
    TEXT,
    TEXT_OR_NUMBER,
    TOKENS,
    WHOLE,
    Form,
    is_on,
)


@pytest.mark.parametrize(
    ("form", "value", "read"),
    [
        (WHOLE, "16", 16),
        (LOOSE_WHOLE, "16", 16),
        (LOOSE_WHOLE, 16.0, 16),
        (STRICT_WHOLE, -1, -1),
        (NUMBER, "1e-1", 0.1),
        (NUMBER, 32, 32),
        (FLAG, "False", False),
        (FLAG, 1, True),
        (FLAG_OR_TEXT, "pissa", "pissa"),
        (TEXT_OR_NUMBER, "pissa", "pissa"),
        (NAMES, ["q_proj"], ("q_proj",)),
        (NAME_OR_NAMES, "q_proj", ("q_proj",)),
        (NAMES_OR_TEXT, "q_proj", "q_proj"),
        (NAMES_OR_TEXT, ["q_proj"], ("q_proj",)),
        (INDICES, [0, 2], (0, 2)),
        (BY_NAME, {"q_proj": "4"}, {"q_proj": 4}),
        (TOKENS, {"embed_tokens": [1]}, {"embed_tokens": (1,)}),
        (RANGES, [[0, 2]], ((0, 2),)),
        (ANYTHING, [None], (None,)),
    ],
)
def test_values_that_are_taken(form: Form, value: Any, read: Any) -> None:
    assert form.read(value) == read


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (WHOLE, True),
        (WHOLE, 1.5),
        (WHOLE, 16.0),
        (WHOLE, "9" * 5000),
        (WHOLE, 10**13),
        (LOOSE_WHOLE, 1.5),
        (LOOSE_WHOLE, float("inf")),
        (STRICT_WHOLE, "8"),
        (STRICT_WHOLE, 8.0),
        (NUMBER, "inf"),
        (NUMBER, True),
        (NUMBER, float("nan")),
        (FLAG, "x"),
        (FLAG, [True]),
        (TEXT, 7),
        (TEXT_OR_NUMBER, None),
        (NAMES, "q_proj"),
        (NAME_OR_NAMES, [1]),
        (NAMES_OR_TEXT, [1]),
        (INDICES, [True]),
        (BY_NAME, {1: 2}),
        (TOKENS, {"embed_tokens": 1}),
        (RANGES, [[0, 1, 2]]),
        (RANGES, [0]),
    ],
)
def test_values_that_are_refused(form: Form, value: Any) -> None:
    with pytest.raises(ValueError, match=r".*"):
        form.read(value)


@pytest.mark.parametrize(("value", "expected"), [("Yes", True), (1, True), ("x", False)])
def test_what_counts_as_on(value: Any, expected: bool) -> None:
    assert is_on(value) is expected
