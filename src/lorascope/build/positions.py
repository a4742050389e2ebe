"""How many positions a built model can take."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

_MOST_OFFSET = 8
"""Entries that a table of positions may have beyond the positions of the config: some classes keep
the first ones for padding (two in OPT and BART)."""


def positions_within(model: nn.Module, stated: int | None, tokens: nn.Module | None) -> int | None:
    """Return the most tokens of a sequence that a model's table of positions has room for.

    A table is an embedding that is not the input embedding and has as many entries as the config
    states positions, or a buffer with as many rows. Where the embedding has a `padding_idx`, as
    in RoBERTa, positions are counted from the entry behind it.

    Args:
        model: The bare base model, weights on any device.
        stated: Positions that its config states.
        tokens: Its input embedding; None if it has none.

    Returns:
        None if there is no such table, so that nothing stops a longer sequence (rotary, relative,
        ALiBi).
    """
    if stated is None:
        return None
    room = [*_learned(model, stated, tokens), *_stored(model, stated)]
    return min((stated, *room)) if room else None


def _learned(model: nn.Module, stated: int, tokens: nn.Module | None) -> Iterator[int]:
    for module in model.modules():
        if not isinstance(module, nn.Embedding) or module is tokens:
            continue
        if stated <= module.num_embeddings <= stated + _MOST_OFFSET:
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            yield module.num_embeddings - first


def _stored(model: nn.Module, stated: int) -> Iterator[int]:
    for buffer in model.buffers():
        if buffer.dim() == 2 and buffer.shape[0] == stated:
            yield stated
