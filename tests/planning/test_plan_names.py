"""The shortest suffixes and the readable pattern hit what they must and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorascope.planning.pattern import readable_pattern
from lorascope.planning.suffixes import shortest_suffixes

LLAMA = [
    f"model.layers.{layer}.{name}"
    for layer in range(4)
    for name in (
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "mlp.gate_proj",
        "mlp.down_proj",
    )
]
BERT = [
    f"bert.encoder.layer.{layer}.{name}"
    for layer in range(3)
    for name in (
        "attention.self.query",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    )
]


def _split(names: list[str], pattern: str) -> tuple[list[str], list[str]]:
    wanted = [name for name in names if re.search(pattern, name)]
    return wanted, [name for name in names if name not in wanted]


def test_last_names_are_used_where_they_are_exact() -> None:
    assert shortest_suffixes(*_split(LLAMA, "[qv]_proj")) == ("q_proj", "v_proj")


def test_longer_suffixes_are_used_where_last_names_are_shared() -> None:
    wanted, others = _split(BERT, "attention.output|intermediate")
    assert shortest_suffixes(wanted, others) == ("attention.output.dense", "intermediate.dense")


def test_no_suffix_without_numbers_tells_a_name_from_a_longer_one() -> None:
    wanted, others = _split(BERT, r"\d\.output")
    assert shortest_suffixes(wanted, others, numbers=False) is None
    assert shortest_suffixes(wanted, others) == tuple(f"layer.{i}.output.dense" for i in range(3))


def test_a_bare_last_name_that_says_nothing_is_lengthened() -> None:
    wanted = ["a.shared.gate_proj.weight"]
    assert shortest_suffixes(wanted, [], bare=("weight",)) == ("gate_proj.weight",)


@pytest.mark.parametrize(
    ("names", "chosen", "pattern"),
    [
        (LLAMA, "[qv]_proj", r"model\.layers\.\d+\.self_attn\.(q|v)_proj"),
        (LLAMA, r"[13]\..*q_proj", r"model\.layers\.(1|3)\.self_attn\.q_proj"),
        (
            LLAMA,
            "q_proj|down_proj",
            r"model\.layers\.\d+\.(self_attn\.q_proj|mlp\.down_proj)",
        ),
        (
            BERT,
            r"\d\.(intermediate|output)",
            r"bert\.encoder\.layer\.\d+\.(intermediate|output)\.dense",
        ),
    ],
)
def test_a_pattern_is_readable(names: list[str], chosen: str, pattern: str) -> None:
    assert readable_pattern(*_split(names, chosen)) == pattern


def test_a_choice_without_a_rule_has_no_pattern() -> None:
    wanted = ["a.0.b.1", "a.1.b.0"]
    assert readable_pattern(wanted, ["a.0.b.0", "a.1.b.1"]) is None


_PART = st.sampled_from(
    ["0", "1", "2", "q_proj", "v_proj", "k", "attn", "mlp", "layers", "x_", "_"]
)
_NAMES = st.sets(st.lists(_PART, min_size=1, max_size=5).map(".".join), min_size=2, max_size=30)


@given(_NAMES, st.data())
def test_suffixes_and_patterns_are_exact(names: set[str], data: st.DataObject) -> None:
    ordered = sorted(names)
    wanted = data.draw(st.lists(st.sampled_from(ordered), min_size=1, unique=True))
    others = [name for name in ordered if name not in wanted]
    suffixes = shortest_suffixes(wanted, others)
    if suffixes is not None:
        hit = [n for n in ordered if n in suffixes or n.endswith(tuple(f".{s}" for s in suffixes))]
        assert hit == sorted(wanted)
    pattern = readable_pattern(wanted, others)
    if pattern is not None:
        assert [n for n in ordered if re.fullmatch(pattern, n)] == sorted(wanted)
