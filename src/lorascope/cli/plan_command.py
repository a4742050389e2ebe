"""`lorascope plan`: a preset worked out for one model."""

from __future__ import annotations

import argparse

from lorascope.cli import values
from lorascope.cli.common import TOWERS, add_model, add_output

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from lorascope.core.inventory import Inventory
    from lorascope.planning import PlanRequest

PRESETS = ("qv", "attention", "extended", "ffn", "vod", "all-linear")
TASKS = ("classification", "instruction", "math", "code", "knowledge", "style", "rl", "domain")
BIASES = ("none", "all", "lora_only")
"""These three repeat what `lorascope.planning` knows, so that --help imports nothing."""

_EPILOG = """\
examples:
  lorascope plan Llama-3.1-8B                               q and v at rank 8
  lorascope plan Qwen/Qwen3-8B --task math --max-params 20M
  lorascope plan Qwen3-30B-A3B --preset all-linear --no-experts
  lorascope plan Llama-3.1-8B --roles q=16,v=16,down=4 --layers 16-31
  lorascope plan Phi-3-mini --compare                       all presets side by side
  lorascope plan Phi-3-mini --preset ffn -o adapter         write adapter/adapter_config.json
  lorascope plan Phi-3-mini --snippet > lora.py"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "plan",
        help="which modules to adapt, at which rank, and what it costs",
        description="Work a preset out for one model: targets, ranks, counts and costs.\n"
        "The adapter_config.json that PEFT takes is shown, and written with -o.",
        epilog=_EPILOG,
    )
    add_model(parser)
    _add_targets(parser.add_argument_group("what to adapt"))
    _add_numbers(parser.add_argument_group("how to adapt it"))
    files = parser.add_argument_group("files")
    files.add_argument("-o", "--output", metavar="DIR", help="write adapter_config.json into DIR")
    files.add_argument(
        "--force", action="store_true", help="overwrite an adapter_config.json that differs"
    )
    group, forms = add_output(parser)
    forms.add_argument(
        "--snippet", action="store_true", help="print Python that makes this adapter with PEFT"
    )
    group.add_argument(
        "--compare", action="store_true", help="all presets side by side, and PEFT's default"
    )
    parser.set_defaults(run=run)


def _add_targets(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--preset",
        choices=PRESETS,
        metavar="PRESET",
        help=f"{', '.join(PRESETS)} (default: the task's, else qv)",
    )
    group.add_argument(
        "--task",
        choices=TASKS,
        metavar="TASK",
        help=f"choose preset and rank for {', '.join(TASKS)}, and say why",
    )
    group.add_argument(
        "--roles",
        type=values.names,
        metavar="ROLE[=R],...",
        help="these roles instead of a preset, each with an own rank if given",
    )
    group.add_argument("--layers", metavar="A-B,...", help="only these layers, for example 16-31")
    group.add_argument(
        "--exclude",
        action="extend",
        type=values.names,
        default=[],
        metavar="NAME,...",
        help="leave these modules out: full names, last parts of names, or containers",
    )
    group.add_argument(
        "--tower",
        action="append",
        default=[],
        choices=TOWERS,
        metavar="TOWER",
        help=f"adapt this tower: {', '.join(TOWERS)} (default: the language model's); may be"
        " repeated",
    )
    group.add_argument(
        "--experts",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether routed experts are adapted (default: as the preset says)",
    )


def _add_numbers(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--rank", type=values.positive, metavar="R", help="rank of the main targets")
    group.add_argument(
        "--alpha",
        type=values.number,
        metavar="A",
        help="alpha of the main targets (default: 2 x R)",
    )
    group.add_argument("--dropout", type=values.number, metavar="P", help="LoRA dropout")
    group.add_argument(
        "--bias",
        choices=BIASES,
        default="none",
        metavar="WHICH",
        help=f"biases to train: {', '.join(BIASES)} (default: none)",
    )
    group.add_argument("--rslora", action="store_true", help="scale by alpha/sqrt(r) (rsLoRA)")
    group.add_argument("--dora", action="store_true", help="train magnitudes as well (DoRA)")
    group.add_argument("--init", metavar="NAME", help="initialization, for example pissa")
    group.add_argument(
        "--max-params",
        type=values.amount,
        metavar="N",
        help="largest rank with at most N trainable parameters, for example 10M",
    )


def run(options: argparse.Namespace) -> int:
    """Make the plan, write it if asked, and print it."""
    from lorascope.cli import output
    from lorascope.cli.load import load
    from lorascope.planning import make_plan

    _check_combinations(options)
    request = _request(options)
    inventory = load(options)
    if options.compare:
        return _compare(inventory, request, options)
    plan = make_plan(inventory, request)
    written = None
    if options.output is not None:
        from pathlib import Path

        from lorascope.cli.write_config import write_adapter_config

        written = write_adapter_config(
            Path(options.output), plan.adapter_config, force=options.force
        )
    if options.json:
        from lorascope.report.json_plan import plan_json

        output.write_json(plan_json(plan))
    elif options.snippet:
        from lorascope.report.snippet import snippet

        output.write(snippet(plan))
    else:
        from lorascope.report.plan_text import plan_text

        output.show(plan_text(plan, inventory, output.text_width(options.width)))
    if written is not None:
        output.tell(f"Wrote {written}")
    return 0


def _check_combinations(options: argparse.Namespace) -> None:
    """Refuse what would be ignored.

    Raises:
        UsageError: Options that exclude each other are given together.
    """
    from lorascope.cli.usage import UsageError

    if options.output == "":
        raise UsageError("lorascope plan: --output is empty; expected a directory.")
    if options.compare:
        for name in ("output", "snippet", "preset", "task", "roles", "max_params"):
            if getattr(options, name):
                raise UsageError(
                    f"lorascope plan: --compare and --{name.replace('_', '-')} are both given;"
                    " expected one of them.",
                    "--compare shows all presets, of which none is chosen.",
                )
    if options.force and options.output is None:
        raise UsageError(
            "lorascope plan: --force is given without --output.", "Say where to write: -o DIR"
        )


def _request(options: argparse.Namespace) -> PlanRequest:
    from lorascope.api import installed_peft
    from lorascope.planning import PlanRequest

    init = {None: True, "true": True, "false": False}.get(options.init, options.init)
    return PlanRequest(
        preset=options.preset,
        task=options.task,
        rank=options.rank,
        alpha=options.alpha,
        dropout=options.dropout,
        bias=options.bias,
        peft_version=installed_peft(),
        rslora=options.rslora,
        dora=options.dora,
        init=init,
        roles=tuple(options.roles or ()),
        layers=options.layers,
        exclude=tuple(options.exclude),
        towers=tuple(options.tower),
        experts=options.experts,
        max_params=options.max_params,
    )


def _compare(inventory: Inventory, request: PlanRequest, options: argparse.Namespace) -> int:
    from lorascope.cli import output
    from lorascope.planning import PEFT_DEFAULT, compare

    plans = compare(inventory, request)
    if options.json:
        from lorascope.report.json_plan import compare_json

        output.write_json(compare_json(plans))
    else:
        from lorascope.report.compare_text import compare_text

        output.show(compare_text(plans, inventory, output.text_width(options.width), PEFT_DEFAULT))
    return 0
