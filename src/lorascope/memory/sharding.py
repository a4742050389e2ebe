"""From one device to several: a formula over a prediction, not a run.

Sources: PyTorch 2.13, `torch.distributed.fsdp.fully_shard` (FSDP2: parameters are split along their
first dimension, padded to the number of devices; a block is gathered for its forward and again for
its backward pass while the next one is on its way; the root stays gathered from forward to
backward), and `DistributedDataParallel` (`gradient_as_bucket_view=False`: gradients are copied into
buckets of the same total size).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lorascope.core.memory import Memory

GATHERED_AT_ONCE = 2
"""The block at work, and the next one on its way."""

_DDP_NOTE = (
    "Several devices without sharding: each holds everything, and gradient buckets of "
    "DistributedDataParallel beside the gradients. A formula, not a run."
)
_FSDP_NOTE = (
    "FSDP over {devices} devices: weights, gradients and optimizer state are divided; the "
    "parameters outside the blocks and {blocks} blocks at a time are gathered. A formula, not a "
    "run."
)


@dataclass(frozen=True, slots=True)
class Unit:
    """What is gathered at once: one block, or all that lies outside the blocks."""

    base_bytes: int
    """Of the base model's parameters and scales in it."""
    adapter_bytes: int = 0
    """Of the trainable parameters in it."""
    largest_row_bytes: int = 0
    """Sum over its tensors of one row along their first dimension: padding adds less than this
    on each device."""


def shard(memory: Memory, blocks: Sequence[Unit], root: Unit) -> Memory:
    """Return what one of `memory.setup.devices` devices holds.

    Args:
        memory: Predicted for a single device with the same batch; its setup says how many devices
            there are and whether the model is sharded.
        blocks: What is wrapped each by itself, usually the model's repeated blocks.
        root: What is left outside of them.

    Returns:
        The same for one device: gathered blocks and their buffers count as `temporary`; nothing
        changes with one device.
    """
    if memory.setup.devices == 1:
        return memory
    if memory.setup.sharding == "none":
        return _replicated(memory)
    return _sharded(memory, blocks, root)


def _replicated(memory: Memory) -> Memory:
    parts = replace(memory.parts, gradient=memory.parts.gradient + memory.parts.adapter)
    return replace(memory, parts=parts, notes=(*memory.notes, _DDP_NOTE))


def _sharded(memory: Memory, blocks: Sequence[Unit], root: Unit) -> Memory:
    devices, parts = memory.setup.devices, memory.parts
    padding = sum(unit.largest_row_bytes for unit in (*blocks, root))
    temporary = parts.temporary + _gathered(blocks, root) + _reduced(blocks)
    divided = replace(
        parts,
        base=_share(parts.base, devices) + padding,
        adapter=_share(parts.adapter, devices),
        gradient=_share(parts.gradient, devices),
        optimizer=_share(parts.optimizer, devices),
        temporary=temporary,
    )
    note = _FSDP_NOTE.format(devices=devices, blocks=min(GATHERED_AT_ONCE, len(blocks)))
    return replace(memory, parts=divided, notes=(*memory.notes, note))


def _gathered(blocks: Sequence[Unit], root: Unit) -> int:
    largest = sorted((unit.base_bytes + unit.adapter_bytes for unit in blocks), reverse=True)
    return root.base_bytes + root.adapter_bytes + sum(largest[:GATHERED_AT_ONCE])


def _reduced(blocks: Sequence[Unit]) -> int:
    """Whole gradients of the block at work, and the buffer that is reduced over the devices."""
    return 2 * max((unit.adapter_bytes for unit in blocks), default=0)


def _share(size: int, devices: int) -> int:
    return -(-size // devices)
