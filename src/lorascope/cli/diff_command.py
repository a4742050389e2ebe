"""`lorascope diff`: what differs between two LoRA configurations."""

from __future__ import annotations

import argparse

from lorascope.cli.common import MODEL_HELP, add_output, add_reading
from lorascope.cli.usage import UsageError

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from lorascope.matching.difference import Difference

_TOOLS = ("peft", "axolotl", "llamafactory", "ms-swift", "trl", "torchtune", "mlx-lm")
_DIFFERENT = 1

_EPILOG = """\
examples:
  lorascope diff old/adapter new/adapter             two adapters
  lorascope diff train.yaml ./adapter                a training file, and what came of it
  lorascope diff a.json b.json Llama-3.1-8B          both on this model
  lorascope diff plan.json adapter_config.json       a plan, as lorascope plan --json prints it

What counts is what each does on its base model: the same modules at the same ranks and scales are
the same, however they are spelled; another dropout or initialization is a difference. Where only
one names a base model, the other is put on it too.

exit codes: 0 the same, 1 they differ, 2 they could not be compared"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "diff",
        help="what differs between two configurations in effect",
        description="Compare two LoRA configurations by what they do on their base model:\n"
        "which modules, at which rank, alpha and scale, and how many parameters. No weight is\n"
        "read or compared.",
        epilog=_EPILOG,
    )
    what = "an adapter, an adapter_config.json, a plan's JSON, or a training file"
    parser.add_argument("a", metavar="A", help=what)
    parser.add_argument("b", metavar="B", help="the same, to compare with A")
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help=f"base model for both: {MODEL_HELP} (default: as named)",
    )
    parser.add_argument(
        "--model", dest="model_option", metavar="MODEL", help="the same as MODEL in the third place"
    )
    for side in ("a", "b"):
        parser.add_argument(
            f"--format-{side}",
            choices=_TOOLS,
            metavar="TOOL",
            help=f"whose file {side.upper()} is: {', '.join(_TOOLS)} (default: recognized)",
        )
    add_reading(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compare and print.

    Returns:
        0 if they are the same, or 1 if they differ.
    """
    from lorascope.cli import output

    found = _difference(options)
    if options.json:
        from lorascope.report.json_diff import diff_json

        output.write_json(diff_json(found))
    else:
        from lorascope.report.diff_text import diff_text

        output.show(diff_text(found, output.text_width(options.width)))
    return 0 if found.is_same else _DIFFERENT


def _difference(options: argparse.Namespace) -> Difference:
    from lorascope.cli.progress import working

    if options.model is not None and options.model_option is not None:
        raise UsageError(
            "lorascope diff: MODEL is given in the third place and with --model.",
            "Give it once.",
        )
    for name in ("a", "b"):
        if not getattr(options, name):  # an unset variable of a script
            raise UsageError(
                f"lorascope diff: expected {name.upper()}, got '', which names nothing.",
                "See: lorascope diff --help",
            )
    with working(f"comparing {options.a} and {options.b}"):
        from lorascope.api import diff
        from lorascope.api.bases import BaseModels

        return diff(
            options.a,
            options.b,
            options.model_option if options.model is None else options.model,
            tool_a=options.format_a,
            tool_b=options.format_b,
            bases=BaseModels(
                offline=options.offline,
                trust_remote_code=options.trust_remote_code,
                cache=not options.no_cache,
                refresh=options.refresh,
            ),
        )
