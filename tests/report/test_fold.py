import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from lorascope.report.fold import fold, index_set


def texts(paths: list[str]) -> list[str]:
    return [pattern.text for pattern in fold(paths)]


def test_layers_fold_into_one_pattern() -> None:
    paths = [f"model.layers.{i}.mlp.up_proj" for i in range(61)]
    (pattern,) = fold(paths)
    assert pattern.text == "model.layers.{0-60}.mlp.up_proj"
    assert pattern.count == 61


def test_layers_and_experts_fold_together() -> None:
    paths = [f"layers.{i}.experts.{e}.w1" for i in range(3, 61) for e in range(256)]
    (pattern,) = fold(paths)
    assert pattern.text == "layers.{3-60}.experts.{0-255}.w1"
    assert pattern.count == 58 * 256


def test_single_names_stay_as_they_are() -> None:
    assert texts(["lm_head", "model.layers.7.proj", ""]) == ["lm_head", "model.layers.7.proj", ""]


def test_only_a_plain_number_is_an_index() -> None:
    for odd in ("01", "²", "٣", "1_0", "-1", "0x1"):
        paths = [f"a.{odd}.b", "a.7.b", "a.8.b"]
        assert texts(paths) == [f"a.{odd}.b", "a.{7-8}.b"]


def test_what_is_no_product_is_cut_into_products() -> None:
    paths = ["a.0.b.0", "a.0.b.1", "a.1.b.0", "a.1.b.1", "a.2.b.0"]
    assert texts(paths) == ["a.{0-1}.b.{0-1}", "a.2.b.0"]


def test_index_sets() -> None:
    assert index_set([0, 1, 2, 4, 8]) == "0-2,4,8"
    assert index_set(range(3, 48, 4)) == "3,7,…,47"
    assert index_set(i for i in range(48) if i % 4 != 3) == "0-2,4-6,…,44-46"
    assert index_set([4, 12, 20, 28]) == "4,12,20,28", "four evenly spaced are as short in full"


def test_a_leading_zero_is_part_of_the_name() -> None:
    assert texts(["a.00", "a.0"]) == ["a.00", "a.0"]


def expand(text: str) -> set[str]:
    """Read a pattern back into the names it stands for."""
    choices = [
        _indices(piece[1:-1]) if piece.startswith("{") else [piece]
        for piece in re.split(r"(\{[^}]*\})", text)
    ]
    return {"".join(choice) for choice in itertools.product(*choices)}


def _indices(text: str) -> list[str]:
    pieces = text.split(",")
    runs: list[tuple[int, int]] = []
    for number, piece in enumerate(pieces):
        if piece == "…":
            last = _run(pieces[number + 1])
            step = runs[-1][0] - runs[-2][0]
            while runs[-1][0] + step < last[0]:
                runs.append((runs[-1][0] + step, runs[-1][1] + step))
        else:
            runs.append(_run(piece))
    return [str(i) for first, last in runs for i in range(first, last + 1)]


def _run(piece: str) -> tuple[int, int]:
    first, _, last = piece.partition("-")
    return int(first), int(last or first)


names = st.builds(
    lambda parts: ".".join(parts),
    st.lists(st.sampled_from(["a", "b", *map(str, range(14))]), min_size=1, max_size=4),
)


@settings(max_examples=200, deadline=None)
@given(st.sets(names, min_size=1, max_size=40))
def test_patterns_stand_for_exactly_the_names_folded(paths: set[str]) -> None:
    patterns = fold(sorted(paths))
    assert sum(pattern.count for pattern in patterns) == len(paths)
    read_back = [name for pattern in patterns for name in expand(pattern.text)]
    assert sorted(read_back) == sorted(paths)


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 60), min_size=1))
def test_index_sets_read_back(indices: set[int]) -> None:
    assert sorted(map(int, _indices(index_set(indices)))) == sorted(indices)
