"""Which PEFT releases are modelled, and in what they differ."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lorascope.core.errors import SpecificationError

OLDEST = "0.20.0"
"""Oldest PEFT release whose behaviour is modelled and tested."""

NEWEST = "0.21.2"
"""Newest PEFT release whose behaviour is modelled and tested; later ones count as like it."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Where PEFT's releases select or count differently. Found by reading both sources."""

    bias_all_matches_substring: bool
    """`bias="all"` trains every parameter with `bias` anywhere in its full name; else only those
    whose last part is `bias`. Source: `_mark_only_adapters_as_trainable`, `tuners_utils.py`."""
    lora_in_name_stays_trainable: bool
    """Base parameters with `lora_` in their full name are taken for adapter weights and not
    frozen. Source: as above."""
    warns_of_unmatched_patterns: bool
    """A key of `rank_pattern` or `alpha_pattern` that decides nothing is warned of, for which
    every key is compiled. Source: end of `inject_adapter`, `tuners_utils.py`."""
    layers_pattern_at_start: bool
    """`layers_pattern` may match at the very start of a name; else a part must come before it.
    Source: `check_target_module_exists`, `tuners_utils.py`."""
    layer_index_is_first_group: bool
    """With a `layers_pattern` that has groups of its own, its first group is read as the layer
    index. Source: as above."""
    layers_pattern_needs_nonzero_layers: bool
    """`layers_pattern` with `layers_to_transform` 0 or [] is refused, not only without it.
    Source: `LoraConfig.__post_init__`, `tuners/lora/config.py`."""


_BEHAVIOURS = {
    (0, 20): Behaviour(
        bias_all_matches_substring=True,
        lora_in_name_stays_trainable=True,
        warns_of_unmatched_patterns=False,
        layers_pattern_at_start=False,
        layer_index_is_first_group=True,
        layers_pattern_needs_nonzero_layers=True,
    ),
    (0, 21): Behaviour(
        bias_all_matches_substring=False,
        lora_in_name_stays_trainable=False,
        warns_of_unmatched_patterns=True,
        layers_pattern_at_start=True,
        layer_index_is_first_group=False,
        layers_pattern_needs_nonzero_layers=False,
    ),
}


def behaviour_of(peft_version: str) -> Behaviour:
    """Return how this PEFT release behaves.

    Args:
        peft_version: As `peft.__version__` gives it. A release later than `NEWEST` is taken to
            behave like it.

    Raises:
        SpecificationError: The version is older than `OLDEST`, or no version at all.
    """
    found = re.match(r"(\d+)\.(\d+)", peft_version)
    if found is None:
        raise SpecificationError(
            f"{peft_version!r} is not a PEFT version.", f"Write it like {NEWEST}."
        )
    release = (int(found[1]), int(found[2]))
    if release < min(_BEHAVIOURS):
        raise SpecificationError(
            f"PEFT {peft_version} selects modules in its own way, which lorascope does not model.",
            f"Supported are {OLDEST} to {NEWEST}.",
        )
    return _BEHAVIOURS[min(release, max(_BEHAVIOURS))]
