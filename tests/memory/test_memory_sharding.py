"""From one device to several: laws of the formula."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorascope.core.memory import Memory, MemoryParts
from lorascope.core.training import TrainingSetup
from lorascope.memory.sharding import Unit, shard

PARTS = MemoryParts(
    base=1000, adapter=100, gradient=100, optimizer=200, activation=400, logits=50, temporary=30
)
BLOCKS = (Unit(300, 40), Unit(300, 40), Unit(200, 20))
ROOT = Unit(200)


def memory(devices: int = 1, sharding: str = "none", parts: MemoryParts = PARTS) -> Memory:
    setup = TrainingSetup(devices=devices, sharding=sharding)
    return Memory(setup, parts, "loss", 400, 0, 3, 3)


def test_one_device_changes_nothing() -> None:
    assert shard(memory(), BLOCKS, ROOT) == memory()


def test_without_sharding_only_gradient_buckets_are_added() -> None:
    result = shard(memory(4), BLOCKS, ROOT)
    assert result.parts == replace(PARTS, gradient=200)
    assert "gradient buckets" in result.notes[-1]


def test_fsdp_divides_what_stays_and_adds_what_is_gathered() -> None:
    result = shard(memory(4, "fsdp"), BLOCKS, ROOT)
    assert result.parts == replace(
        PARTS,
        base=250,
        adapter=25,
        gradient=25,
        optimizer=50,
        temporary=30 + 200 + 2 * 340 + 2 * 40,
    )
    assert "not a run" in result.notes[-1]
    assert "4 devices" in result.notes[-1]


def test_padding_is_at_most_a_row_of_each_tensor() -> None:
    padded = (replace(BLOCKS[0], largest_row_bytes=8), *BLOCKS[1:])
    more = shard(memory(4, "fsdp"), padded, ROOT).peak_bytes
    assert more - shard(memory(4, "fsdp"), BLOCKS, ROOT).peak_bytes == 8


@given(st.integers(2, 1000))
def test_more_devices_never_need_more(devices: int) -> None:
    fewer = shard(memory(devices, "fsdp"), BLOCKS, ROOT)
    more = shard(memory(devices + 1, "fsdp"), BLOCKS, ROOT)
    assert more.peak_bytes <= fewer.peak_bytes


@pytest.mark.parametrize("part", ["activation", "logits"])
def test_activations_are_each_devices_own(part: str) -> None:
    assert getattr(shard(memory(8, "fsdp"), BLOCKS, ROOT).parts, part) == getattr(PARTS, part)
