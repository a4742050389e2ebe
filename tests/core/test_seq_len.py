import pytest

from lorascope.core.errors import PlanError
from lorascope.core.inventory import ModelInfo
from lorascope.core.memory import Memory, MemoryParts
from lorascope.core.seq_len import seq_len_within, with_positions_noted
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


@pytest.mark.parametrize(("made_for", "expected"), [(256, 256), (8192, 2048)])
def test_without_a_table_only_the_default_keeps_to_what_the_config_states(
    made_for: int, expected: int
) -> None:
    assert seq_len_within(None, None, made_for) == expected
    assert seq_len_within(9000, None, made_for) == 9000


@pytest.mark.parametrize(
    ("seq_len", "made_for", "is_noted"), [(8193, 8192, True), (8192, 8192, False), (1, None, False)]
)
def test_a_length_that_the_model_was_not_made_for_is_noted(
    seq_len: int, made_for: int | None, is_noted: bool
) -> None:
    memory = Memory(
        TrainingSetup(seq_len=seq_len), MemoryParts(), "loss", 0, 0, 1, 1, notes=("A.",)
    )
    notes = with_positions_noted(memory, ModelInfo("m", None, "M", stated_positions=made_for)).notes
    assert notes[0] == "A."
    assert ("8,193 tokens are beyond the 8,192 positions" in notes[-1]) == is_noted
    assert len(notes) == 1 + is_noted


def test_the_default_is_that_of_a_setup() -> None:
    assert seq_len_within(None, None) == TrainingSetup().seq_len
