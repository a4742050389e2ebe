"""The files that `lorascope export` reads and writes."""

from __future__ import annotations

import argparse
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from lorascope.cli.usage import UsageError
from lorascope.core.errors import ExportError, OutputError

if TYPE_CHECKING:
    from lorascope.core.export import Exported

_MARK = "\ufeff"
_WRITABLE = 0o222


def check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other.

    Raises:
        UsageError: They do.
    """
    see = "See: lorascope export --help"
    if options.output is not None and options.into is not None:
        raise UsageError("lorascope export: --output and --into are both given.", "Give one.")
    for name in ("output", "into"):
        if getattr(options, name) == "":
            raise UsageError(f"lorascope export: --{name} is empty; expected a file.", see)
    if options.diff and options.into is None:
        raise UsageError(
            "lorascope export: --diff is given without --into.",
            "It shows what --into would change.",
        )
    if options.diff and options.json:
        raise UsageError("lorascope export: --diff and --json are both given.", "Give one.")
    if options.force and options.output is None:
        raise UsageError(
            "lorascope export: --force is given without --output.", "Say where to write: -o FILE"
        )


def read(name: str) -> str:
    """Read the file that is to be changed.

    Raises:
        ExportError: There is none.
        RecipeError: It cannot be read.
    """
    from lorascope.source.recipe_files import read_text

    path = Path(name)
    try:
        exists = path.is_file()
    except (OSError, ValueError):
        exists = False
    if not exists:
        raise ExportError(
            f"There is no file {name} to put it into.", f"Write a new one with -o {name}."
        )
    return read_text(path)


def write(exported: Exported, into: str | None, options: argparse.Namespace) -> str | None:
    """Write what was exported, if a file is named.

    Returns:
        The path of the file; None if none is named or nothing is to be written.

    Raises:
        OutputError: It exists and differs, or cannot be written.
    """
    if options.diff:
        return None
    if into is not None:
        return _put_into(Path(options.into), into, exported)
    if options.output is None:
        return None
    return _put(Path(options.output), exported, force=options.force)


def _put(path: Path, exported: Exported, *, force: bool) -> str:
    from lorascope.source.replace_file import check_replaceable, replace_file

    content = exported.text.encode()
    try:
        if path.is_dir():
            path = path / exported.file_name
        check_replaceable(path)
        if not force and _holds_other(path, content):
            raise OutputError(
                f"{path} exists and differs.",
                "Use --force to overwrite it, another name, or --into to change its LoRA part.",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    return str(path)


def _holds_other(path: Path, content: bytes) -> bool:
    """Whether a file is there that says something else; a link to nothing counts as one."""
    if not path.exists():
        return path.is_symlink()
    return path.read_bytes() != content


def _put_into(path: Path, before: str, exported: Exported) -> str:
    from lorascope.source.replace_file import replace_file

    try:
        real = path.resolve()
        now = real.read_bytes()
        marked = now.startswith(_MARK.encode())
        if now.decode("utf-8-sig", "replace") != before:
            raise OutputError(f"{path} has changed since it was read.", "Run the command again.")
        # To replace a file only its directory must be writable; the mode says what is meant.
        if not real.stat().st_mode & _WRITABLE:
            raise OutputError(
                f"{path} is read-only, so it is not changed.",
                "Make it writable, or see with --diff what to change.",
            )
        replace_file(real, ((_MARK if marked else "") + exported.text).encode(), keep_mode=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return str(path)


def _unwritable(path: Path, error: Exception) -> OutputError:
    reason = getattr(error, "strerror", None) or error
    return OutputError(f"{path} cannot be written: {reason}.", "Name another file.")


def difference(before: str, exported: Exported, name: str) -> str:
    """Return what changes in a file, as `diff -u` writes it."""
    lines = unified_diff(
        before.splitlines(keepends=True),
        exported.text.splitlines(keepends=True),
        f"{name} (now)",
        f"{name} (with the configuration)",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
