"""Write the plot of a comparison whole or not at all."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from lorascope.core.errors import MissingDependencyError, OutputError, printable
from lorascope.core.plan import Plan
from lorascope.report.memory_text import setup_text
from lorascope.report.plot_file import MADE_BY, plot_file
from lorascope.report.plot_points import plot_points
from lorascope.source.replace_file import replace_file

_WRITABLE = "Name a file in a directory that you may write to with --plot."
_PLOT = "Install it with: pip install 'lorascope[plot]'"


def check_plot(path: Path, *, force: bool) -> None:
    """Say before any work is done that a plot cannot be drawn or kept.

    Raises:
        MissingDependencyError: matplotlib is not installed, or broken.
        OutputError: There is no such directory, it may not be written to, the file is a directory,
            or it holds something that is no plot of lorascope.
    """
    _check_matplotlib()
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: {path.parent} is no directory.", _WRITABLE)
    if path.is_dir():
        raise OutputError(f"{path} cannot be written: it is a directory.", _WRITABLE)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"{path} cannot be written: {path.parent} may not be written to.", _WRITABLE
        )
    if path.exists() and not force and not _may_be_the_same(path):
        raise _differs(path)


def write_plot(path: Path, plans: Sequence[Plan], *, force: bool) -> None:
    """Draw plans of one model that have a prediction each; a link is written through.

    Args:
        path: Of the file.
        plans: What is drawn.
        force: Overwrite a file that holds something else.

    Raises:
        OutputError: No plan has a prediction, the file holds something else already, or it cannot
            be written; nothing is left half-written.
    """
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
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and not force and path.read_bytes() != content:
            raise _differs(path)
        replace_file(path, content)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}.", _WRITABLE
        ) from error


def _check_matplotlib() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError("--plot draws with matplotlib, which is not installed.", _PLOT)
    try:
        importlib.import_module("matplotlib.figure")
    except Exception as error:
        raise MissingDependencyError(
            "--plot draws with matplotlib, which is installed and cannot be imported:"
            f" {type(error).__name__}: {printable(error, 300)}",
            _PLOT,
        ) from error


def _may_be_the_same(path: Path) -> bool:
    """Whether a file may be a plot of lorascope, which all say so inside."""
    try:
        return path.is_file() and MADE_BY.encode() in path.read_bytes()
    except OSError:
        return False


def _differs(path: Path) -> OutputError:
    return OutputError(
        f"{path} exists and is not this plot.", "Use --force to overwrite it, or another name."
    )
