"""Write the plot of a comparison whole or not at all."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from lorascope.core.errors import MissingDependencyError, OutputError
from lorascope.core.plan import Plan
from lorascope.report.memory_text import setup_text
from lorascope.report.plot_points import plot_points
from lorascope.source.replace_file import replace_file

_WRITABLE = "Name a file in a directory that you may write to with --plot."


def check_plot(path: Path) -> None:
    """Say before any work is done that a plot cannot be drawn or kept.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: There is no such directory, or the file is a directory.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "--plot draws with matplotlib, which is not installed.",
            "Install it with: pip install 'lorascope[plot]'",
        )
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: {path.parent} is no directory.", _WRITABLE)
    if path.is_dir():
        raise OutputError(f"{path} cannot be written: it is a directory.", _WRITABLE)


def write_plot(path: Path, plans: Sequence[Plan]) -> None:
    """Draw plans of one model that have a prediction each.

    Raises:
        OutputError: No plan has one, or the file cannot be written; nothing is left half-written.
    """
    from lorascope.report.plot_file import plot_file

    points = plot_points(plans)
    if not points:
        raise OutputError(
            f"{path} is not written: there is no plan whose memory could be predicted.",
            "The findings of the same command without --plot say why.",
        )
    setup = next(plan.memory.setup for plan in plans if plan.memory is not None)
    content = plot_file(
        points, plans[0].model.reference, setup_text(setup), path.suffix[1:].lower()
    )
    try:
        replace_file(path, content)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}.", _WRITABLE
        ) from error
