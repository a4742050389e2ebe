"""Values of a config that no model can have, however small they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lorascope.core.errors import ModelConfigError
from lorascope.source.config_fields import named_size

_VOCABULARY = re.compile(r"vocab_size|padded_vocab_size")
_SHARE = re.compile(
    r"(attention|hidden|activation|classifier|embd|embed|resid|attn|summary_first)_(dropout|pdrop)"
    r"|(hidden|attention_probs)_dropout_prob|dropout|dropout_rate"
)
"""Probabilities of dropping a value (full match)."""


def check_possible(level: Mapping[str, Any], where: str) -> None:
    """Check one nesting level of a config.

    Raises:
        ModelConfigError: It states no vocabulary, a probability beyond 0 to 1, or more experts per
            token than there are experts.
    """
    for key, value in level.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if _VOCABULARY.fullmatch(key) and value < 1:
            raise ModelConfigError(f"{where}{key} is {value!r:.40}; expected at least 1.")
        if _SHARE.fullmatch(key) and not 0 <= value <= 1:
            raise ModelConfigError(f"{where}{key} is {value!r:.40}; expected a share from 0 to 1.")
    experts, chosen = named_size(level, "num_experts"), named_size(level, "experts_per_token")
    if experts is not None and chosen is not None and 1 <= experts[1] < chosen[1]:
        raise ModelConfigError(
            f"{where}{chosen[0]} is {chosen[1]:,}; there are {experts[1]:,} experts ({experts[0]})."
        )
