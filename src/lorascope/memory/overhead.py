"""What a run on fake tensors cannot know of a device, as an estimate with its parts."""

from __future__ import annotations

from dataclasses import dataclass

from lorascope.core.training import TrainingSetup

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Overhead:
    """One part of what lies outside the predicted figures."""

    name: str
    size: int
    """Bytes; an order of magnitude."""
    text: str
    """Where it comes from, one sentence."""


_CUDA = (
    Overhead(
        "CUDA context",
        512 * _MIB,
        "The CUDA context and loaded kernels take about 0.3 to 0.6 GiB outside PyTorch's "
        "allocator, more with more libraries.",
    ),
    Overhead(
        "cuBLAS workspaces",
        64 * _MIB,
        "PyTorch gives cuBLAS a workspace of 32 MiB on Hopper and Blackwell, 8.1 MiB before, for "
        "the forward and for the backward thread (CublasHandlePool.cpp).",
    ),
)
_NOT_ESTIMATED = (
    "Not estimated: workspaces of single kernels, and what the caching allocator holds reserved "
    "beyond what is in use (fragmentation).",
)


def overheads(setup: TrainingSetup) -> tuple[Overhead, ...]:
    """Return the parts; none on a CPU, whose allocator hands out what is asked for."""
    return _CUDA if setup.device == "cuda" else ()


def overhead_bytes(setup: TrainingSetup) -> int:
    """Return their sum."""
    return sum(part.size for part in overheads(setup))


def overhead_notes(setup: TrainingSetup) -> tuple[str, ...]:
    """Return what the estimate is made of and what it leaves out, each one sentence."""
    parts = overheads(setup)
    return (*(part.text for part in parts), *_NOT_ESTIMATED) if parts else ()
