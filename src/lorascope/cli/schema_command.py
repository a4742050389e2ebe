"""`lorascope schema`: the published schema of a JSON output."""

from __future__ import annotations

import argparse

from lorascope.report.schemas import SCHEMA_NAMES, schema_text

_EPILOG = """\
examples:
  lorascope schema inspect
  lorascope schema plan > plan.schema.json"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "schema",
        help="the schema of a JSON output",
        description="Print the schema (JSON Schema 2020-12) of what a command prints with --json.",
        epilog=_EPILOG,
    )
    parser.add_argument("name", metavar="NAME", choices=SCHEMA_NAMES, help=", ".join(SCHEMA_NAMES))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the schema."""
    from lorascope.cli import output

    output.write(schema_text(options.name))
    return 0
