"""`lorascope models`: the built-in examples."""

from __future__ import annotations

import argparse

from lorascope.cli.common import add_output

_EPILOG = """\
examples:
  lorascope models
  lorascope models --json | jq -r '.models[].name'"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "models",
        help="the built-in examples, for a try without a network",
        description="List the built-in examples. Their names can be given wherever a MODEL is"
        " asked for.",
        epilog=_EPILOG,
    )
    add_output(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the examples."""
    from lorascope.cli import output
    from lorascope.report.examples_report import examples_json, examples_text
    from lorascope.source.examples import list_examples

    if options.json:
        output.write_json(examples_json(list_examples()))
    else:
        output.show(examples_text(list_examples(), output.text_width(options.width)))
    return 0
