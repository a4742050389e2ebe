"""`lorascope export`: a plan or a configuration in a trainer's own words."""

from __future__ import annotations

import argparse

from lorascope.cli import plan_options, values
from lorascope.cli.common import MODEL_HELP, TASK_TYPES, add_reading

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from lorascope.core.export import Exported
    from lorascope.matching.configured import Configured

TRAINERS = (
    "peft",
    "trl",
    "axolotl",
    "llamafactory",
    "ms-swift",
    "unsloth",
    "torchtune",
    "mlx-lm",
    "litgpt",
    "verl",
    "megatron-bridge",
    "nemo-automodel",
)
TOOLS = ("peft", "axolotl", "llamafactory", "ms-swift", "trl", "torchtune", "mlx-lm")
_MERGED = ("litgpt", "nemo-automodel")
"""Further ones whose files --into takes. All repeat what the library knows, so that --help imports
nothing."""

_FINE = 0
_REFUSED = 2

_EPILOG = """\
examples:
  lorascope export Llama-3.1-8B --preset attention --to axolotl
  lorascope export Qwen/Qwen3-8B --task math --to mlx-lm -o mlx.yaml
  lorascope export plan.json --to trl                 what lorascope plan --json printed
  lorascope export ./adapter --to llamafactory        an adapter or its adapter_config.json
  lorascope export axolotl.yaml --to ms-swift         one trainer's file for another
  lorascope export ./adapter --to axolotl --into train.yaml --diff
                                                      what would change in an existing file

What is written is read back as the tool reads it: it adapts exactly the planned modules, at the
planned ranks and scales. What a tool cannot say is refused, and told with --lossy.

exit codes: 0 written, 2 refused: something would be lost, or it could not be carried out"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "export",
        usage="lorascope export PLAN [MODEL] --to TOOL [options]",
        help="the same configuration in a trainer's own words",
        description="Write the LoRA part of a tool's configuration, complete enough to paste or to"
        " merge\ninto an existing file, and say what the tool cannot.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "plan",
        metavar="PLAN",
        help="a plan's JSON, an adapter, an adapter_config.json or a training file; or a model, for"
        " which a plan is then made",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help=f"base model of a file: {MODEL_HELP} (default: the one that it names)",
    )
    tool = parser.add_argument_group("the tool")
    tool.add_argument(
        "--to",
        required=True,
        choices=TRAINERS,
        metavar="TOOL",
        help=f"whose words: {', '.join(TRAINERS)}",
    )
    tool.add_argument(
        "--lossy",
        action="store_true",
        help="write it also where the tool would do something else, and list what",
    )
    tool.add_argument(
        "--format",
        choices=TOOLS,
        metavar="TOOL",
        help=f"whose file PLAN is: {', '.join(TOOLS)} (default: recognized)",
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "-o", "--output", metavar="FILE", help="write a file instead of standard output"
    )
    files.add_argument(
        "--into",
        metavar="FILE",
        help="put it into this file of the tool's in place of the LoRA part that it has; comments"
        f" and all else stay. For {', '.join((*TOOLS, *_MERGED))}; -o writes a file of its own",
    )
    files.add_argument(
        "--diff", action="store_true", help="with --into: print what would change, write nothing"
    )
    files.add_argument(
        "--force", action="store_true", help="with --output: overwrite a file that differs"
    )
    plan_options.add_targets(parser.add_argument_group("what to adapt, if PLAN is a model"))
    numbers = parser.add_argument_group("how to adapt it, if PLAN is a model")
    plan_options.add_numbers(numbers)
    numbers.add_argument(
        "--max-params",
        type=values.amount,
        metavar="N",
        help="largest rank with at most N trainable parameters, for example 10M",
    )
    add_reading(parser).add_argument(
        "--task-type",
        choices=TASK_TYPES,
        metavar="TYPE",
        help=f"if PLAN is a model: build the class for this PEFT task type:"
        f" {', '.join(TASK_TYPES)} (default: the class that the config names)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print JSON (see lorascope schema)")
    parser.set_defaults(run=run, scores=None)


def run(options: argparse.Namespace) -> int:
    """Export, write, and tell what is lost.

    Returns:
        0, or 2 if something would be lost and --lossy is not given.
    """
    from lorascope.cli import export_files
    from lorascope.cli.export_source import base_reader, wanted_of
    from lorascope.core.export import Trainer
    from lorascope.exporting import export, export_into

    export_files.check(options)
    into = None if options.into is None else export_files.read(options.into)
    wanted = wanted_of(options)
    if into is None:
        exported = export(wanted, Trainer(options.to))
    else:
        reader = base_reader(options)
        exported = export_into(wanted, Trainer(options.to), into, options.into, reader)
    refused = bool(exported.losses) and not options.lossy
    written = None if refused else export_files.write(exported, into, options)
    if options.json:
        _print_json(exported, wanted, written, refused=refused)
    elif not refused and written is None:
        _print_text(exported, into, options)
    _tell(exported, wanted, refused=refused)
    if written is not None:
        from lorascope.cli.output import tell

        tell(f"Wrote {written}")
    return _REFUSED if refused else _FINE


def _print_json(
    exported: Exported, wanted: Configured, written: str | None, *, refused: bool
) -> None:
    from lorascope.cli import output
    from lorascope.report.json_export import export_json

    model = wanted.inventory.model
    output.write_json(export_json(exported, model, refused=refused, written=written))


def _print_text(exported: Exported, into: str | None, options: argparse.Namespace) -> None:
    from lorascope.cli import export_files, output

    output.write(
        exported.text if into is None else export_files.difference(into, exported, options.into)
    )


def _tell(exported: Exported, wanted: Configured, *, refused: bool) -> None:
    """Say what is lost and what to know, one paragraph each."""
    from lorascope.cli.telling import tell_wrapped

    name = f"{exported.to.own_name} {exported.version}"
    if refused:
        tell_wrapped(f"{name} cannot say all of {wanted.origin}.", "Error: ", "bold red")
    for loss in exported.losses:
        said = f"{loss.message} {loss.hint}".rstrip()
        tell_wrapped(said, "" if refused else "Lost: ", "bold yellow")
    if refused:
        tell_wrapped("Nothing was written. With --lossy the rest is written all the same.")
        return
    for note in exported.notes:
        tell_wrapped(note)
