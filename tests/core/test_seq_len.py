import pytest

from lorascope.core.errors import PlanError
from lorascope.core.seq_len import seq_len_within
from lorascope.core.training import TrainingSetup


@pytest.mark.parametrize(
    ("asked", "positions", "expected"),
    [
        (None, None, 2048),
        (None, 131072, 2048),
        (None, 512, 512),
        (512, 512, 512),
        (9000, None, 9000),
    ],
)
def test_default_and_limit(asked: int | None, positions: int | None, expected: int) -> None:
    assert seq_len_within(asked, positions) == expected


def test_beyond_the_positions_is_refused() -> None:
    with pytest.raises(PlanError) as caught:
        seq_len_within(513, 512)
    assert caught.value.what == "--seq-len is 513; this model has 512 positions."
    assert caught.value.hint is not None
    assert "at most 512" in caught.value.hint


def test_the_default_is_that_of_a_setup() -> None:
    assert seq_len_within(None, None) == TrainingSetup().seq_len
