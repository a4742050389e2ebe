"""The whole command line as one parser; one file a command holds its options and its work."""

from __future__ import annotations

import argparse

from lorascope.cli import (
    adapt_command,
    check_command,
    completion_command,
    diff_command,
    export_command,
    inspect_command,
    match_command,
    models_command,
    plan_command,
    rule_command,
    schema_command,
)
from lorascope.cli.output import write
from lorascope.cli.usage import Parser

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from typing import Any

COMMANDS = (
    inspect_command,
    plan_command,
    export_command,
    check_command,
    match_command,
    diff_command,
    adapt_command,
    rule_command,
    models_command,
    schema_command,
    completion_command,
)
"""In the order in which the help shows them."""

_DESCRIPTION = """\
Know what LoRA will touch before you train.

Point it at a transformer and it says, without loading a weight, which modules are there, what
each one does, which of them LoRA can adapt, and what a target list will really hit."""

_EPILOG = """\
examples:
  lorascope models                                  built-in models, for a try without a network
  lorascope inspect Llama-3.1-8B                    what is in it, by role
  lorascope inspect Qwen/Qwen3-8B --names           full names, one a line
  lorascope plan Phi-3-mini --preset attention      targets, counts and size
  lorascope plan Qwen/Qwen3-8B -o adapter           write adapter/adapter_config.json
  lorascope export Qwen/Qwen3-8B --preset attention --to axolotl
                                                    the same in a trainer's words
  lorascope match Llama-3.1-8B --targets q_proj,v_proj
                                                    what a target list hits
  lorascope check train.yaml                        what is wrong with a configuration
  lorascope adapt ./adapter --serve vllm -o served  the same adapter, as an engine reads it
  lorascope diff train.yaml ./adapter               what differs between two in effect

exit codes: 0 fine, 1 findings or differences, 2 it could not be carried out, 130 interrupted"""


def build_parser() -> tuple[Parser, dict[str, argparse.ArgumentParser]]:
    """Build the parser.

    Returns:
        The whole parser, and the parser of each command by name.
    """
    parser = Parser(prog="lorascope", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action=_Version)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add(subparsers)
    return parser, dict(subparsers.choices)


class _Version(argparse.Action):
    """Prints lorascope's version and exits."""

    def __init__(self, option_strings: list[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from lorascope._version import __version__

        write(f"lorascope {__version__}\n")
        parser.exit()
