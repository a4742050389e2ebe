"""What is said of a step that fails."""

from __future__ import annotations

import pytest

from lorascope.core.errors import MemoryPredictionError
from lorascope.memory.failures import REPORT, step_of


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (
            AttributeError("'T5Config' object has no attribute 'decoder_start_token_id'"),
            "The model's config states no decoder_start_token_id: add it there.",
        ),
        (
            ValueError("Got 1 != 2. You might want to consider padding your sequence length to 8."),
            "Try --seq-len 8.",
        ),
        (AttributeError("'Linear' object has no attribute 'x'"), REPORT),
    ],
)
def test_what_an_error_asks_for_is_the_hint(error: Exception, hint: str) -> None:
    with (
        pytest.raises(MemoryPredictionError, match="the pass fails") as caught,
        step_of("the pass"),
    ):
        raise error
    assert caught.value.hint == hint
