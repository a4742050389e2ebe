import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memories import PARTS, memory_of
from plans import plan_of

import builders
from lorascope.report.plot_points import PlotPoint, plot_points
from lorascope.report.plot_text import plot_text

LLAMA = builders.llama()
GIB = 1024**3
POINTS = (
    PlotPoint(("qv", "peft-default"), 3_407_872, 30 * GIB),
    PlotPoint(("attention",), 6_815_744, 32 * GIB),
    PlotPoint(("vod",), 8_126_464, 34 * GIB),
    PlotPoint(("extended",), 10_485_760, 37 * GIB),
    PlotPoint(("all-linear",), 20_971_520, 40 * GIB),
)

points = st.lists(
    st.builds(
        PlotPoint,
        st.tuples(st.sampled_from(["qv", "attention", "extended", "ffn", "vod", "all-linear"])),
        st.integers(1, 10**12),
        st.integers(1, 2**43),
    ),
    min_size=2,
    max_size=8,
    unique_by=lambda point: (point.trainable_params, point.peak_bytes),
)


def drawn(width: int, *these: PlotPoint) -> list[str]:
    return [line.plain for line in plot_text(these or POINTS, width)]


def test_points_are_plans_with_a_prediction_and_the_same_place_is_one_point() -> None:
    one = plan_of(LLAMA, {"attention.q": 8}, memory=memory_of())
    plans = [
        one,
        replace(one, preset="same"),
        replace(one, preset="untold", memory=None),
        replace(one, preset="empty", trainable_params=0),
        replace(one, preset="more", memory=memory_of(parts=replace(PARTS, base=2 * PARTS.base))),
    ]
    found = plot_points(plans)
    assert [point.label for point in found] == ["qv, same", "more"]
    assert found[0].peak_bytes == PARTS.total


def test_a_plot_places_points_by_both_numbers() -> None:
    lines = drawn(80)
    place = {
        name: (row, line.index(name))
        for row, line in enumerate(lines)
        for name in ("qv", "attention", "vod", "extended", "all-linear")
        if name in line
    }
    assert sorted(place, key=lambda name: -place[name][0]) == sorted(
        place, key=lambda name: place[name][1]
    )
    assert lines[1].startswith("40.00 GiB │")
    assert lines[11].startswith("30.00 GiB │● qv, peft-default")
    assert re.fullmatch(r" +3\.41 M +trainable parameters +21\.0 M", lines[-1])


@given(points, st.integers(38, 200))
def test_a_plot_loses_no_point_and_keeps_to_its_width(these: list[PlotPoint], width: int) -> None:
    lines = drawn(width, *these)
    marks = sum(line.count("●") for line in lines)
    assert 1 <= marks <= len(these)
    assert all(len(line) <= width for line in lines)
    for name in {name for point in these for name in point.names}:
        assert name in re.sub(r"\s+", " ", " ".join(lines)), name


@pytest.mark.parametrize("width", [20, 30])
def test_no_plot_where_there_is_no_room(width: int) -> None:
    assert drawn(width) == []


def test_no_plot_of_a_single_point() -> None:
    assert plot_text(POINTS[:1], 80) == []


def test_equal_peaks_are_drawn_on_one_line() -> None:
    level = [replace(point, peak_bytes=GIB) for point in POINTS[:3]]
    lines = drawn(100, *level)
    assert sum("●" in line for line in lines) == 1


class TestFile:
    @pytest.fixture(autouse=True)
    def _needs_matplotlib(self) -> None:
        pytest.importorskip("matplotlib")

    def drawn(self, form: str, *these: PlotPoint, title: str = "tiny") -> bytes:
        from lorascope.report.plot_file import plot_file

        return plot_file(these or POINTS, title, "1 × 2,048 tokens", form)

    def test_an_svg_holds_names_as_text(self) -> None:
        root = ElementTree.fromstring(self.drawn("svg"))  # noqa: S314 - our own
        texts = {"".join(node.itertext()).strip() for node in root.iter() if node.text}
        assert {"tiny", "qv, peft-default", "all-linear", "trainable parameters"} <= texts
        assert "peak of one training step, GiB" in texts

    def test_a_png_is_one(self) -> None:
        assert self.drawn("png").startswith(b"\x89PNG\r\n")

    @pytest.mark.parametrize("form", ["svg", "png"])
    def test_the_same_points_make_the_same_file(self, form: str) -> None:
        assert self.drawn(form) == self.drawn(form)

    def test_nothing_in_the_file_tells_when_it_was_made(self) -> None:
        assert b"<dc:date>" not in self.drawn("svg")

    def test_a_hostile_name_is_neither_formula_nor_markup(self) -> None:
        drawn = self.drawn("svg", title="$\\frac{a}{b}$ <b>&\x1b")
        ElementTree.fromstring(drawn)  # noqa: S314 - our own
        assert b"\x1b" not in drawn
        assert b"frac" in drawn

    def test_names_cover_no_other_name(self) -> None:
        crowd = [
            PlotPoint((f"name-{i}",), 10_000_000 + 20_000 * i, 30 * GIB + i * 2**20)
            for i in range(4)
        ]
        root = ElementTree.fromstring(self.drawn("svg", *crowd))  # noqa: S314 - our own
        places = {
            "".join(node.itertext()).strip(): node.get("transform")
            or (node.get("x"), node.get("y"))
            for node in root.iter("{http://www.w3.org/2000/svg}text")
            if "".join(node.itertext()).strip().startswith("name-")
        }
        assert len(set(places.values())) == 4
