"""`lorascope adapt`: rewrite a trained adapter so that a serving engine computes the same."""

from __future__ import annotations

import argparse

from lorascope.cli import values
from lorascope.cli.common import MODEL_HELP, add_output, add_reading
from lorascope.cli.usage import UsageError

_EPILOG = """\
examples:
  lorascope adapt ./adapter --serve vllm -o served      one rank and scale, names that vLLM has
  lorascope adapt ./adapter --serve sglang              what would be done; nothing is written
  lorascope adapt ./adapter --serve vllm --for-model Qwen/Qwen2.5-VL-7B-Instruct -o served
                                                        trained on the language model alone
  lorascope adapt ./adapter --serve peft --experts single -o old
                                                        experts as transformers 4 has them
  lorascope adapt ./adapter --serve vllm --drop modules_to_save -o served

The deltas of all weights stay the same, to rounding; what cannot be carried over is refused."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "adapt",
        help="rewrite a trained adapter for a serving engine",
        description="Rewrite a trained LoRA adapter so that a serving engine loads it and\n"
        "computes the same: one rank and one scale, the engine's names, fused projections and\n"
        "experts as it wants them. Without -o: say what would be done.",
        epilog=_EPILOG,
    )
    parser.add_argument("adapter", metavar="ADAPTER", help="the directory of a trained adapter")
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help=f"base model (default: as the adapter names it): {MODEL_HELP}",
    )
    parser.add_argument(
        "--serve",
        metavar="ENGINE",
        required=True,
        help="vllm, sglang, llama.cpp, tgi, lorax or peft; NAME@VERSION insists on that version",
    )
    group = parser.add_argument_group("what is written")
    group.add_argument("-o", "--output", metavar="DIR", help="directory to write")
    group.add_argument(
        "--force", action="store_true", help="replace the adapter in a directory that exists"
    )
    group.add_argument(
        "--for-model",
        metavar="MODEL",
        help="the model that is served, if it has the same modules under other names",
    )
    group.add_argument(
        "--rank", type=values.positive, metavar="R", help="rank of all pairs (default: the least)"
    )
    group.add_argument(
        "--split",
        action="append",
        default=[],
        metavar="NAME[=PART,...]",
        help="take a fused projection apart: qkv_proj, or with names and rows"
        " qkv_proj=q_proj:64,k_proj:16,v_proj:16; may be repeated",
    )
    group.add_argument(
        "--pack",
        action="append",
        default=[],
        metavar="NAME=PART,...",
        help="put projections together: qkv_proj=q_proj,k_proj,v_proj; may be repeated",
    )
    group.add_argument(
        "--experts",
        choices=("single", "stacked"),
        metavar="FORM",
        help="routed experts one by one or stacked: single or stacked (default: as the engine"
        " wants)",
    )
    group.add_argument(
        "--drop",
        type=values.names,
        action="extend",
        default=[],
        metavar="FEATURE,...",
        help="leave out what the engine does not take: dora, modules_to_save, bias, lora_bias,"
        " trainable_tokens, tied_head, expert_parameters, perception_tower, unknown_name",
    )
    add_reading(parser)
    add_output(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Rewrite the adapter and print what was done.

    Returns:
        0.
    """
    from dataclasses import replace

    from lorascope.api.adapting import adapt, files_beside
    from lorascope.api.bases import BaseModels
    from lorascope.cli import output
    from lorascope.cli.progress import working
    from lorascope.cli.stopping import stopped_like_ctrl_c

    if options.force and options.output is None:
        raise UsageError("lorascope adapt: --force needs -o DIR.", "See: lorascope adapt --help")
    if options.output == "":
        raise UsageError(
            "lorascope adapt: --output is empty; expected a directory.",
            "See: lorascope adapt --help",
        )
    bases = BaseModels(
        offline=options.offline,
        trust_remote_code=options.trust_remote_code,
        cache=not options.no_cache,
        refresh=options.refresh,
    )
    with stopped_like_ctrl_c(), working(f"rewriting {options.adapter} for {options.serve}"):
        done = adapt(
            options.adapter,
            options.serve,
            options.output,
            model=options.model,
            for_model=options.for_model,
            rank=options.rank,
            split=options.split,
            pack=options.pack,
            experts=options.experts,
            drop=options.drop,
            force=options.force,
            bases=bases,
        )
    others = files_beside(options.adapter)
    if others and done.directory is not None:
        note = f"Not copied from beside it: {', '.join(others)}."
        done = replace(done, notes=(*done.notes, note))
    if options.json:
        from lorascope.report.json_adapt import adapt_json

        output.write_json(adapt_json(done))
    else:
        from lorascope.report.adapt_text import adapt_text

        output.show(adapt_text(done, output.text_width(options.width)))
    return 0
