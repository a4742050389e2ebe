"""`lorascope plan`: a preset worked out for one model."""

from __future__ import annotations

import argparse

from lorascope.cli import plan_options, values
from lorascope.cli.common import add_model, add_output

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lorascope.cli.plan_memory import MemoryRequest
    from lorascope.core.inventory import Inventory
    from lorascope.planning import Fitted, PlanRequest

_EPILOG = """\
examples:
  lorascope plan Llama-3.1-8B                               q and v at rank 8
  lorascope plan Qwen/Qwen3-8B --task math --max-params 20M
  lorascope plan Qwen3-30B-A3B --preset all-linear --no-experts
  lorascope plan Llama-3.1-8B --roles q=16,v=16,down=4 --layers 16-31
  lorascope plan Llama-3.1-8B --batch-size 4 --seq-len 1024 --memory-facts
                                                            what a training step takes
  lorascope plan Llama-3.1-8B --task math --max-memory 24GiB
  lorascope plan Llama-3.1-8B --preset extended --serve vllm,sglang,llama.cpp
                                                            one that all of these serve alike
  lorascope plan Phi-3-mini --compare                       all presets side by side
  lorascope plan Phi-3-mini --compare --plot memory.svg     and by memory
  lorascope plan Phi-3-mini --preset ffn -o adapter         write adapter/adapter_config.json
  lorascope plan Phi-3-mini --snippet > lora.py"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "plan",
        usage="lorascope plan MODEL [options]",
        help="which modules to adapt, at which rank, and what it costs",
        description="Work a preset out for one model: targets, ranks, counts and costs.\n"
        "The adapter_config.json that PEFT takes is shown, and written with -o.",
        epilog=_EPILOG,
    )
    add_model(parser)
    plan_options.add_targets(parser.add_argument_group("what to adapt"))
    plan_options.add_numbers(parser.add_argument_group("how to adapt it"))
    plan_options.add_budgets(parser.add_argument_group("what it has to fit into"))
    plan_options.add_memory(parser.add_argument_group("memory of one training step"))
    files = parser.add_argument_group("files")
    files.add_argument("-o", "--output", metavar="DIR", help="write adapter_config.json into DIR")
    files.add_argument(
        "--force",
        action="store_true",
        help="overwrite an adapter_config.json or a plot that differs",
    )
    files.add_argument(
        "--plot",
        type=values.plot_file,
        metavar="FILE",
        help="with --compare: draw presets by parameters and peak memory into this .svg or .png",
    )
    group, forms = add_output(parser)
    forms.add_argument(
        "--snippet", action="store_true", help="print Python that makes this adapter with PEFT"
    )
    group.add_argument(
        "--compare", action="store_true", help="all presets side by side, and PEFT's default"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the plan, write it if asked, and print it."""
    from lorascope.cli.load import load
    from lorascope.cli.plan_checks import check
    from lorascope.cli.plan_memory import memory_request

    check(options)
    request, memory = request_of(options), memory_request(options)
    if options.plot is not None:
        from pathlib import Path

        from lorascope.cli.write_plot import check_plot

        check_plot(Path(options.plot), force=options.force)
    inventory = load(options)
    if options.compare:
        return _compare(inventory, request, memory, options)
    fitted = memory.fit(inventory, request)
    written = None
    if options.output is not None:
        from pathlib import Path

        from lorascope.cli.write_config import write_adapter_config

        written = write_adapter_config(
            Path(options.output), fitted.plan.adapter_config, force=options.force
        )
    _print(fitted, inventory, options)
    if written is not None:
        from lorascope.cli.output import tell

        tell(f"Wrote {written}")
    return 0


def _print(fitted: Fitted, inventory: Inventory, options: argparse.Namespace) -> None:
    from lorascope.cli import output

    if options.json:
        from lorascope.report.json_plan import plan_json

        output.write_json(plan_json(fitted.plan, fitted, options.max_memory))
    elif options.snippet:
        from lorascope.report.memory_text import setup_text
        from lorascope.report.snippet import snippet

        # Part of what makes the plan fit is none of PEFT's.
        step = "" if fitted.setup is None else f"# Train with: {setup_text(fitted.setup)}\n"
        output.write(snippet(fitted.plan) + step)
    else:
        from lorascope.report.plan_text import plan_text

        width = output.text_width(options.width)
        output.show(plan_text(fitted.plan, inventory, width, fitted, options.max_memory))


def _engines(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    from lorascope.core.errors import PlanError, SpecificationError
    from lorascope.serving.asked import asked_engines

    try:
        return asked_engines(names)
    except SpecificationError as error:
        raise PlanError(f"--serve: {error.what}", error.hint) from error


def request_of(options: argparse.Namespace) -> PlanRequest:
    """Return what the options ask of a plan."""
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
        serve=_engines(options.serve or ()),
        # Beside scores it limits the choice of modules instead of choosing the rank.
        max_params=options.max_params if options.scores is None else None,
    )


def _compare(
    inventory: Inventory, request: PlanRequest, memory: MemoryRequest, options: argparse.Namespace
) -> int:
    from lorascope.cli import output
    from lorascope.planning import PEFT_DEFAULT

    plans = memory.compare(inventory, request)
    written = None
    if options.plot is not None:
        from pathlib import Path

        from lorascope.cli.write_plot import write_plot

        written = Path(options.plot)
        write_plot(written, plans, force=options.force)
    if options.json:
        from lorascope.report.json_plan import compare_json

        output.write_json(compare_json(plans))
    else:
        from lorascope.report.compare_text import compare_text

        width = output.text_width(options.width)
        output.show(compare_text(plans, inventory, width, PEFT_DEFAULT, request.engines))
    if written is not None:
        output.tell(f"Wrote {written}")
    return 0
