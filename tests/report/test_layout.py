import pytest

from lorascope.report.layout import UNLIMITED, Column, Heading, Row, fields, paragraph, table
from lorascope.report.lines import Line

COLUMNS = (Column("role"), Column("modules"), Column("count", right=True), Column("share"))
ROWS = [
    Heading("attention"),
    Row(("q", "model.layers.{0-31}.self_attn.q_proj", "32", "6.7%")),
    Row(("", "all of attention", "128", "16.7%")),
]


def plain(lines: list[Line]) -> list[str]:
    return [line.plain for line in lines]


def test_a_wide_table_has_one_line_a_row() -> None:
    assert plain(table(COLUMNS, ROWS, 80, name_column=1)) == [
        "role  modules                               count  share",
        "attention",
        "q     model.layers.{0-31}.self_attn.q_proj     32  6.7%",
        "      all of attention                        128  16.7%",
    ]


def test_a_narrower_one_ends_its_first_line_with_the_name() -> None:
    assert plain(table(COLUMNS, ROWS, 44, name_column=1)) == [
        "    count  share",
        "attention",
        "q     model.layers.{0-31}.self_attn.q_proj",
        "       32  6.7%",
        "all of attention",
        "      128  16.7%",
    ]


def test_the_narrowest_labels_its_items() -> None:
    assert plain(table(COLUMNS, ROWS, 14, name_column=1)) == [
        "attention",
        "q",
        "    model.layers.{0-31}.self_attn.q_proj",
        "    count 32",
        "    share 6.7%",
        "all of attention",
        "    count 128",
        "    share 16.7%",
    ]


@pytest.mark.parametrize("width", [10, 20, 40, 44, 60, UNLIMITED])
def test_no_name_and_no_number_is_ever_cut(width: int) -> None:
    text = "\n".join(plain(table(COLUMNS, ROWS, width, name_column=1)))
    for row in ROWS:
        for cell in row.cells if isinstance(row, Row) else [row.text]:
            assert cell in text


def test_control_characters_and_markup_stay_plain() -> None:
    row = Row(("[red]q", "a\x1b[31m\nb", "1", "\u202e"))
    text = table(COLUMNS, [row], 80, name_column=1)[1]
    assert text.plain.split() == ["[red]q", r"a\x1b[31m\nb", "1", r"\u202e"]
    assert not any("red" in span.style for span in text.spans)


def test_wide_characters_are_counted_as_they_show() -> None:
    columns = (Column("a"), Column("b"))
    lines = table(columns, [Row(("模型", "x")), Row(("abcd", "y"))], 80)
    assert plain(lines)[1:] == ["模型  x", "abcd  y"]


def test_paragraphs_hang_and_keep_long_names_whole() -> None:
    name = "model.layers.{0-60}.mlp.experts.gate_up_proj"
    lines = plain(paragraph(f"- {name} and more", 24, indent=2, hanging=4))
    assert lines == ["  -", f"    {name}", "    and more"]


def test_fields_line_up_and_leave_out_what_is_empty() -> None:
    lines = plain(fields([("class", "Llama"), ("experts", ""), ("parameters", "1 2 3")], 80))
    assert lines == ["  class       Llama", "  parameters  1 2 3"]
