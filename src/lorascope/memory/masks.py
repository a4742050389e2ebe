"""Let transformers skip attention masks of fake tensors as it skips those of real ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from transformers import masking_utils


@contextlib.contextmanager
def without_padding() -> Iterator[None]:
    """Answer what transformers asks of masks and positions: no padding, no packed sequences.

    It leaves a mask out, and lets the attention kernel be causal by itself, where no token is
    padding and a batch holds one sequence a row. A fake tensor cannot tell it, so transformers
    takes the run for a trace and makes masks of tokens × tokens; with them, grouped keys and values
    are copied for each query head. Source: transformers 5.23.0, `masking_utils.py`.
    """
    replaced: dict[str, Callable[..., Any]] = {"find_packed_sequence_indices": _one_sequence}
    for name in ("_ignore_causal_mask_sdpa", "_ignore_bidirectional_mask_sdpa"):
        replaced[name] = _of_no_padding(getattr(masking_utils, name))
    with contextlib.ExitStack() as undone:
        for name, function in replaced.items():
            undone.callback(setattr, masking_utils, name, getattr(masking_utils, name))
            setattr(masking_utils, name, function)
        yield


def _one_sequence(_position_ids: Any) -> None:
    return None


def _of_no_padding(asks: Callable[..., bool]) -> Callable[..., bool]:
    def answers(_padding_mask: Any, *args: Any, **kwargs: Any) -> bool:
        return asks(None, *args, **kwargs)

    return answers
