"""What a run cannot know of a device."""

from lorascope.core.training import TrainingSetup
from lorascope.memory.overhead import overhead_bytes, overhead_notes, overheads

CUDA = TrainingSetup(device="cuda")
CPU = TrainingSetup(device="cpu")


def test_the_parts_add_up() -> None:
    assert overhead_bytes(CUDA) == sum(part.size for part in overheads(CUDA)) > 0


def test_each_part_is_told_and_what_is_left_out() -> None:
    notes = overhead_notes(CUDA)
    assert len(notes) == len(overheads(CUDA)) + 1
    assert "fragmentation" in notes[-1]


def test_a_cpu_has_none() -> None:
    assert overhead_bytes(CPU) == 0
    assert overhead_notes(CPU) == ()
