"""Which block of a model a module belongs to, read off its path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BLOCK_GROUPS = frozenset({"attention", "ffn", "linear_attention", "moe", "ssm"})
"""Groups of roles that make the child of a list a block (a list of plain linears is none)."""


def block_path(path: str, stages: Mapping[str, frozenset[str]]) -> str | None:
    """Return the path of the block that `path` lies in, or None outside of any list.

    The block is the child of the outermost list, so that an expert's own index never counts.
    Where that list is one of stages, it is the child of the list inside the stage.

    Args:
        path: Full name of a module; the module itself is never its own block.
        stages: Name of a list of stages → what leads from a stage to its list of blocks.
    """
    parts = path.split(".")
    numbers = [index for index, part in enumerate(parts[:-1]) if part.isdigit()]
    if not numbers:
        return None
    first = numbers[0]
    inner = stages.get(parts[first - 1]) if first else None
    for second in numbers[1:2]:
        if inner is not None and ".".join(parts[first + 1 : second]) in inner:
            return ".".join(parts[: second + 1])
    return ".".join(parts[: first + 1])


def layer_numbers(blocks: Iterable[str]) -> dict[str, int]:
    """Number the blocks of one tower.

    Args:
        blocks: Paths of its blocks in model order, each once.

    Returns:
        Path of a block → its index. A block of a plain list keeps its own number; blocks inside
        stages are counted through.
    """
    numbers: dict[str, int] = {}
    counted: dict[str, int] = {}
    for block in blocks:
        parts = block.split(".")
        digits = [index for index, part in enumerate(parts) if part.isdigit()]
        if len(digits) == 1:
            numbers[block] = int(parts[-1])
        else:
            root = ".".join(parts[: digits[0]])
            numbers[block] = counted.get(root, 0)
            counted[root] = numbers[block] + 1
    return numbers
