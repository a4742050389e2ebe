"""Arguments that the command line does not take, and the parser that says so helpfully.

Everything here is on the path of `lorascope --help` and imports nothing that takes time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence

from lorascope.cli.output import stated_columns, write
from lorascope.core.errors import LorascopeError, printable

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from typing import Any, NoReturn


class UsageError(LorascopeError):
    """The command line itself is wrong: an unknown option, a missing or a wrong value."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError` and names the nearest valid value.

    It abbreviates nothing: an abbreviation would break as soon as an option is added.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("formatter_class", HelpFormatter)
        options["allow_abbrev"] = False
        super().__init__(*args, **options)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and exiting.

        Raises:
            UsageError: Always.
        """
        raise UsageError(f"{self.prog}: {message}", f"See: {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ARG002 - argparse's
        # argparse's own says nothing if the output cannot be written.
        if message:
            write(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = [str(choice) for choice in action.choices or ()]
        if action.choices is not None and str(value) not in choices:
            known = ", ".join(choices)
            raise argparse.ArgumentError(
                action, f"{quoted(value)} is not one of {known}.{did_you_mean(value, choices)}"
            )


class YesOrNo(argparse.BooleanOptionalAction):
    """`--name` or `--no-name`, None if neither; both are refused."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take the option unless its opposite was given.

        Raises:
            ArgumentError: It was.
        """
        before = getattr(namespace, self.dest)
        super().__call__(parser, namespace, values, option_string)
        if before not in (None, getattr(namespace, self.dest)):
            raise argparse.ArgumentError(self, "both are given; expected one of them.")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """argparse's own, with a width found without the modules that `shutil` brings along."""

    def __init__(self, prog: str, **options: Any) -> None:
        options.setdefault("width", _help_width())
        super().__init__(prog, **options)


def _help_width() -> int:
    """Return what argparse would: the terminal's width less 2, and at most 100."""
    columns = stated_columns()
    if columns is None:
        try:
            terminal = sys.__stdout__.fileno() if sys.__stdout__ else -1
            columns = os.get_terminal_size(terminal).columns
        except (ValueError, OSError):
            columns = 80
    return max(min(columns or 80, 100) - 2, 20)


def unknown_arguments(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> UsageError:
    """Make the error for arguments that a command does not take."""
    first = unknown[0]
    if first.startswith("-"):
        option = first.partition("=")[0]
        options = [each for action in parser._actions for each in action.option_strings]  # noqa: SLF001 - no public list of them
        what = f"{parser.prog}: no such option: {quoted(option)}.{did_you_mean(option, options)}"
    else:
        what = f"{parser.prog}: one argument too many: {quoted(first)}."
    return UsageError(what, f"See: {parser.prog} --help")


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """Return ` Did you mean …?` with the nearest known value, or nothing if none is near."""
    import difflib

    by_folded = {each.casefold(): each for each in known}
    wanted = str(value).casefold()[:100].replace("_", "-")
    near = difflib.get_close_matches(wanted, by_folded, n=1, cutoff=0.6)
    return f" Did you mean {by_folded[near[0]]}?" if near else ""


def quoted(value: object) -> str:
    """Quote what the user typed, safe to print."""
    return f"'{printable(value)}'"
