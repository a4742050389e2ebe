"""How long the sequences of a training step are, as far as the model's positions say."""

from __future__ import annotations

from lorascope.core.errors import PlanError

DEFAULT_SEQ_LEN = 2048


def seq_len_within(asked: int | None, positions: int | None) -> int:
    """Return the sequence length asked for, or the default: 2048, or as many as there are.

    Args:
        asked: Tokens in each sequence; None for the default.
        positions: Positions of the model; None if it states none.

    Raises:
        PlanError: More tokens are asked for than the model has positions.
    """
    if asked is None:
        return min(DEFAULT_SEQ_LEN, positions or DEFAULT_SEQ_LEN)
    if positions is not None and asked > positions:
        raise PlanError(
            f"--seq-len is {asked:,}; this model has {positions:,} positions.",
            f"Use at most {positions:,}, or raise max_position_embeddings in its config.",
        )
    return asked
