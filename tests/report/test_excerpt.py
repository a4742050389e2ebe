import pytest
from checks import spot_of
from rich.cells import cell_len

from lorascope.core.recipe import Spot
from lorascope.report.excerpt import excerpt
from lorascope.report.layout import UNLIMITED


def shown(text: str, part: str, width: int = UNLIMITED) -> tuple[str, str]:
    source, mark = excerpt(text, spot_of(text, part), width)
    return source.plain, mark.plain


def marked(source: str, mark: str) -> str:
    """What stands above the mark, column by column."""
    start, end = mark.index("^"), mark.rindex("^") + 1
    column, found = 0, ""
    for char in source:
        if start <= column < end:
            found += char
        column += cell_len(char)
    return found


def test_the_mark_stands_under_what_is_meant() -> None:
    source, mark = shown("a: 1\nb: [x, yy]\n", "yy")
    assert source == "    2 │ b: [x, yy]"
    assert mark == "      │        ^^"


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("\t\ttargets: [q_proj]", "q_proj", "q_proj"),
        ("a\r\ntargets: q_proj\r\nb\r\n", "q_proj", "q_proj"),
        ("層の名前: [q_proj]  # 対象", "q_proj", "q_proj"),
        ("targets: [層の, q]", "層の", "層の"),
        ("e\u0301te\u0301: q", "q", "q"),
        ("name: a\x1b[2Jb q", "q", "q"),
        ("a\xa0b q", "q", "q"),
        ("[" + "x, " * 5000 + "q_proj" + ", y" * 5000 + "]", "q_proj", "q_proj"),
        ("[" + "層, " * 5000 + "q_proj" + ", 層" * 5000 + "]", "q_proj", "q_proj"),
        ("[" + "\x1b" * 5000 + "q_proj" + "\x1b" * 5000 + "]", "q_proj", "q_proj"),
        ("q_proj" + ", y" * 5000, "q_proj", "q_proj"),
        ("x, " * 5000 + "q_proj", "q_proj", "q_proj"),
    ],
)
@pytest.mark.parametrize("width", [40, 80, UNLIMITED])
def test_the_mark_stands_right_in_any_line(text: str, part: str, expected: str, width: int) -> None:
    source, mark = shown(text, part, width)
    assert marked(source, mark) == expected
    assert "\r" not in source
    assert source.isprintable()


@pytest.mark.parametrize("width", [30, 40, 80, 120])
@pytest.mark.parametrize("filler", ["x, ", "層, ", "\x1b", "e\u0301"])
def test_it_keeps_to_the_width(filler: str, width: int) -> None:
    text = f"{filler * 400}q_proj{filler * 400}"
    source, mark = excerpt(text, spot_of(text, "q_proj"), width)
    assert max(source.width, mark.width) <= width
    assert source.width >= width - 8


def test_an_endless_line_is_cut_on_both_sides_and_says_so() -> None:
    source, _ = shown("x, " * 5000 + "q_proj" + ", y" * 5000, "q_proj")
    assert len(source) <= 200
    assert source.startswith("    1 │ …")
    assert source.endswith("…")


def test_a_line_that_fits_is_whole() -> None:
    text = "target_modules: [q_proj, v_proj]"
    source, _ = shown(text, "v_proj", len(text) + 8)
    assert source == f"    1 │ {text}"
    assert "…" in shown(text, "v_proj", len(text) + 7)[0]


def test_of_several_lines_the_first_is_marked() -> None:
    source, mark = shown("a: [\n  q,\n  v\n]\n", "[\n  q,\n  v\n]")
    assert (source, mark) == ("    1 │ a: [", "      │    ^")


@pytest.mark.parametrize("text", ["key:\nnext", "key:", "key:\r\nnext"])
def test_what_is_empty_is_marked_at_its_place(text: str) -> None:
    source, mark = excerpt(text, Spot(4, 4, 1, 5), 80)
    assert (source.plain, mark.plain) == ("    1 │ key:", "      │     ^")


def test_what_is_longer_than_the_room_is_marked_as_far_as_it_is_shown() -> None:
    source, mark = shown("a: " + "x" * 500, "x" * 500, 60)
    assert source.endswith("x…")
    assert mark.count("^") == source.count("x") > 30
