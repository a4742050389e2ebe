"""Write `docs/cli.md` from the program's own parsers: python docs/make_cli.py."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from lorascope.cli.parser import build_parser

PAGE = Path(__file__).with_name("cli.md")

HEAD = """\
# The command line

Written by `python docs/make_cli.py` from the program itself; a test checks that it is current.
"""

TAIL = """\
## Where output goes

The answer goes to standard output; errors, progress and "Wrote …" go to standard error. Progress is
shown on a terminal only, and only once the work has taken a second. In a pipe there is no colour
and no line is wrapped, unless `--width` or `COLUMNS` says so; names are never cut at any width.

With `--json` an error is printed to standard output as well, as an object with the one key `error`
beside `schema_version` (see [output](output.md)).

## Exit codes

| code | meaning |
| --- | --- |
| 0 | fine |
| 1 | `check` has findings at or above `--severity`; what `diff` compares differs |
| 2 | the request could not be carried out: one message says why, nothing is left half-written; \
also where PEFT would refuse what `match` was asked, and where `check` could not read or check \
something, which their answers then say |
| 130 | interrupted with Ctrl-C |
| 141 | the reader of the output has gone, as in `lorascope inspect … \\| head` |

## Environment

| variable | meaning |
| --- | --- |
| `LORASCOPE_CACHE` | directory of the cache of inventories; empty for no cache |
| `LORASCOPE_DEBUG` | show tracebacks, and the notices of transformers and torch |
| `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`, … | as huggingface_hub has them |
| `NO_COLOR`, `FORCE_COLOR` | forbid or force colour |
| `COLUMNS` | characters a line, instead of the terminal's or unlimited |
"""


def cli_page() -> str:
    """Return the page as it should be."""
    parser, commands = build_parser()
    parts = [HEAD, _block(parser.description or ""), _block(parser.epilog or "", code=True)]
    for name, command in commands.items():
        parts += [f"## lorascope {name}\n", *_command(command)]
    return "\n".join([*parts, TAIL])


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield _block(parser.description or "")
    for group in parser._action_groups:  # noqa: SLF001 - argparse has no public list of them
        rows = [_row(action) for action in group._group_actions if action.dest != "help"]  # noqa: SLF001
        if rows:
            title = {"positional arguments": "argument"}.get(group.title or "", group.title)
            yield "\n".join([f"| {title} | |", "| --- | --- |", *rows, ""])
    yield _block(parser.epilog or "", code=True)


def _row(action: argparse.Action) -> str:
    names = action.option_strings or [str(action.metavar or action.dest)]
    value = f" {action.metavar}" if action.option_strings and action.metavar else ""
    written = ", ".join(f"`{name}{value}`" for name in names)
    return f"| {written} | {action.help} |".replace("N|A-B", "N\\|A-B").replace("E|D", "E\\|D")


def _block(text: str, *, code: bool = False) -> str:
    return f"```\n{text}\n```\n" if code else f"{text}\n"


if __name__ == "__main__":
    PAGE.write_text(cli_page(), "utf-8")
