"""How many tensors of a header, and which names, are believed."""

from __future__ import annotations

from lorascope.core.errors import ModelConfigError

MOST_TENSORS = 250_000
"""The largest published checkpoints store each of 23,000 experts in 9 tensors, in all 210,000."""
_LONGEST_NAME = 512
_MOST_PARTS = 64


def check_count(count: int, where: str) -> None:
    """Raise `ModelConfigError` if a checkpoint lists more tensors than any real one."""
    if count > MOST_TENSORS:
        raise ModelConfigError(
            f"{where} lists {count:,} tensors; expected at most {MOST_TENSORS:,}."
        )


def check_name(name: str, where: str) -> None:
    """Raise `ModelConfigError` if a tensor's name is longer or deeper than any real one."""
    if len(name) > _LONGEST_NAME:
        raise ModelConfigError(
            f"{where}: the tensor name {name!r:.80} has {len(name):,} characters; expected at"
            f" most {_LONGEST_NAME}."
        )
    if name.count(".") >= _MOST_PARTS:
        raise ModelConfigError(
            f"{where}: the tensor name {name!r:.80} is nested too deeply; expected at most"
            f" {_MOST_PARTS} parts."
        )
