"""How long the sequences of a training step are, as far as the model's positions say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lorascope.core.errors import PlanError

if TYPE_CHECKING:
    from lorascope.core.inventory import ModelInfo
    from lorascope.core.memory import Memory

DEFAULT_SEQ_LEN = 2048


def seq_len_within(asked: int | None, positions: int | None, made_for: int | None = None) -> int:
    """Return the sequence length asked for, or the default: 2048, or as many as there are.

    Args:
        asked: Tokens in each sequence; None for the default.
        positions: Positions in the model's table; None if it has none.
        made_for: Positions that the model's config states; None if it states none.

    Raises:
        PlanError: More tokens are asked for than the model's table has positions.
    """
    if asked is None:
        return min(DEFAULT_SEQ_LEN, positions or DEFAULT_SEQ_LEN, made_for or DEFAULT_SEQ_LEN)
    if positions is not None and asked > positions:
        raise PlanError(
            f"--seq-len is {asked:,}; this model has {positions:,} positions.",
            f"Use at most {positions:,}: its table of positions has no more entries.",
        )
    return asked


def with_positions_noted(memory: Memory, model: ModelInfo) -> Memory:
    """Return a prediction with a note if the sequences are longer than the model was made for.

    Args:
        memory: The prediction.
        model: The model, which has no table of positions that would refuse such a length.
    """
    made_for = model.stated_positions
    if made_for is None or memory.setup.seq_len <= made_for:
        return memory
    note = (
        f"Sequences of {memory.setup.seq_len:,} tokens are beyond the {made_for:,} positions the"
        " model was made for: the step runs, but what it learns there is another matter."
    )
    return replace(memory, notes=(*memory.notes, note))
