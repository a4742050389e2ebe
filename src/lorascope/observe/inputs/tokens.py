"""Token ids: text, and the places that the features of an image or a sound take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import torch

from lorascope.observe.inputs.facts import Facts, configs_within
from lorascope.observe.inputs.fill import fill_in

TEXT = 8
"""Tokens of text."""

_ENDS = ("token_id", "token_ids", "token_index", "_patch_id")


def text_tokens(facts: Facts, places: Sequence[tuple[int, ...]] = ()) -> torch.Tensor:
    """Return ids of shape (1, length): text, each of the places, the end.

    Args:
        facts: Of the model.
        places: Runs of ids that other modalities take.
    """
    special = frozenset(_special(facts))
    ordinary = next(number for number in count() if number not in special)
    last = facts.setting("eos_token_id", part="text")
    last = last[0] if isinstance(last, list | tuple) and last else last
    ids = [ordinary] * (TEXT - 1)
    for run in places:
        ids.extend(run)
        ids.append(ordinary)
    # A small model may keep the published one's end token, which its vocabulary does not reach.
    most = facts.setting("vocab_size", part="text", default=0)
    ids.append(last if isinstance(last, int) and 0 <= last < most else ordinary)
    return torch.tensor([ids], dtype=torch.long)


def placeholder(facts: Facts, names: Sequence[str]) -> int | None:
    """Return the token in whose places features go; None if the config has no field for it.

    Where the field is empty, as in configs that the checkpoint's tokenizer fills, the last id of
    the vocabulary is written into it: into the copy's config, which nothing else reads. It is
    noted in `facts.filled`.
    """
    for config in (found for _, found in configs_within(facts.config)):
        for name in names:
            if hasattr(config, name):
                value = getattr(config, name)
                if value is None:
                    value = facts.setting("vocab_size", part="text", default=2) - 1
                    facts.filled[name] = value
                    fill_in(facts.model, {name: value})
                return int(value)
    return None


def _special(facts: Facts) -> Iterator[int]:
    for _, config in configs_within(facts.config):
        for name, value in vars(config).items():
            if name.endswith(_ENDS):
                yield from _numbers(value)


def _numbers(value: Any) -> Iterable[int]:
    values = value if isinstance(value, list | tuple) else (value,)
    return [each for each in values if isinstance(each, int)]
