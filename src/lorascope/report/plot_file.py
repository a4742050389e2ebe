"""The plot as a file: presets by trainable parameters against the peak of a training step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from lorascope.report.byte_units import ByteUnit, unit_for
from lorascope.report.lines import clean
from lorascope.report.plot_points import PlotPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

FORMATS = ("svg", "png")
_SIZE = (8.0, 4.5)
"""Inches."""
_DOTS_PER_INCH = 150
_COLOR = "#1f6f8b"
MADE_BY = "lorascope"
"""What every plot holds as its maker."""
_METADATA = {"svg": {"Date": None, "Creator": MADE_BY}, "png": {"Software": MADE_BY}}
_PLACES = (
    ((8, 0), "left", "center"),
    ((-8, 0), "right", "center"),
    ((0, 8), "center", "bottom"),
    ((0, -8), "center", "top"),
    ((8, 9), "left", "bottom"),
    ((8, -9), "left", "top"),
    ((-8, 9), "right", "bottom"),
    ((-8, -9), "right", "top"),
)
"""Where a name may stand beside its point: offset in points, then alignments; the best first."""


def plot_file(points: Sequence[PlotPoint], title: str, subtitle: str, form: str) -> bytes:
    """Draw the points and return the content of the file, the same for the same points.

    Args:
        points: At least one.
        title: Of the plot: the model.
        subtitle: How the training step is run.
        form: One of `FORMATS`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    unit = unit_for(max(point.peak_bytes for point in points))
    # Text stays text, and nothing in the file depends on when or where it was made.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lorascope"}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, points, unit)
        axes.set_title(f"{_plain(title)}\n", loc="left", fontweight="bold")
        axes.text(0, 1.02, _plain(subtitle), transform=axes.transAxes, fontsize="small")
        figure.draw_without_rendering()
        _place_names(axes, points, unit)
        content = BytesIO()
        figure.savefig(content, format=form, dpi=_DOTS_PER_INCH, metadata=_METADATA[form])
    return content.getvalue()


def _draw(axes: Axes, points: Sequence[PlotPoint], unit: ByteUnit) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    from lorascope.core.numbers import short

    params = [point.trainable_params for point in points]
    peaks = [point.peak_bytes / unit.bytes for point in points]
    axes.scatter(params, peaks, color=_COLOR, zorder=3)
    axes.set_xscale("log")
    axes.margins(0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xticks(sorted(set(params)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(round(value))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", rotation=30)
    axes.grid(visible=True, axis="y", color="#dddddd", zorder=0)
    axes.set_xlabel("trainable parameters")
    axes.set_ylabel(f"peak of one training step, {unit.name}")


def _place_names(axes: Axes, points: Sequence[PlotPoint], unit: ByteUnit) -> None:
    """Write each point's name at the first place where it covers no point and no other name."""
    positions = [(p.trainable_params, p.peak_bytes / unit.bytes) for p in points]
    taken = [_around(axes, position) for position in positions]
    for point, position in zip(points, positions, strict=True):
        for name in _tried(axes, point.label, position):
            box = name.get_window_extent()
            if axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and not box.count_overlaps(taken):
                break
            name.remove()
        else:
            name = next(_tried(axes, point.label, position))
        taken.append(name.get_window_extent())


def _tried(axes: Axes, label: str, position: tuple[float, float]) -> Iterator[Annotation]:
    for offset, horizontal, vertical in _PLACES:
        yield axes.annotate(
            _plain(label),
            position,
            xytext=offset,
            textcoords="offset points",
            ha=horizontal,
            va=vertical,
            annotation_clip=False,
        )


def _around(axes: Axes, position: tuple[float, float]) -> Bbox:
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform(position)
    return Bbox.from_extents(x - 4, y - 4, x + 4, y + 4)


def _plain(text: str) -> str:
    """Escape what matplotlib would read as a formula, and control characters."""
    return clean(text).replace("$", r"\$")
