"""Shortening of long lists gives PEFT's own result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peft.tuners.tuners_utils import _find_minimal_target_modules

from lorascope.core.errors import SpecificationError
from lorascope.matching.minimal_suffixes import minimal_suffixes, shortened

_PART = st.sampled_from(["a", "b", "c", "0", "1", ""])
_NAME = st.lists(_PART, min_size=1, max_size=4).map(".".join).filter(bool)


@given(st.sets(_NAME, min_size=1, max_size=12), st.sets(_NAME, max_size=12))
def test_as_peft_does(targets: set[str], others: set[str]) -> None:
    others -= targets
    expected = _find_minimal_target_modules(targets, others)
    assert minimal_suffixes(targets, others) == expected


def test_two_towers_are_told_apart() -> None:
    targets = [f"model.decoder.layers.{i}.self_attn.{n}_proj" for i in range(9) for n in "qv"]
    others = [f"model.decoder.layers.{i}.self_attn.k_proj" for i in range(9)]
    assert minimal_suffixes(targets, others) == {"q_proj", "v_proj"}
    encoder = [f"model.encoder.layers.{i}.self_attn.q_proj" for i in range(9)]
    found = minimal_suffixes(targets, [*others, *encoder])
    assert "v_proj" in found
    assert "q_proj" not in found
    assert "decoder.layers.0.self_attn.q_proj" in found


def test_a_short_list_stays_as_it_is() -> None:
    entries = frozenset(f"model.layers.{i}.q" for i in range(19))
    assert shortened(entries, ["", *entries]) is entries
    longer = entries | {"model.layers.19.q"}
    assert shortened(longer, ["", *longer]) == {"q"}


def test_an_empty_name_in_a_long_list_is_refused() -> None:
    with pytest.raises(SpecificationError, match="empty name"):
        shortened(frozenset(["", *(str(i) for i in range(20))]), ["a"])
