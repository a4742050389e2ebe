"""`lorascope match`: what a LoRA configuration hits, entry by entry."""

from __future__ import annotations

import argparse

from lorascope.cli import values
from lorascope.cli.common import add_model, add_output

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from typing import Any

    from lorascope.core.spec import LoraSpec

_EPILOG = """\
examples:
  lorascope match Llama-3.1-8B --targets q_proj,v_proj
  lorascope match Phi-3-mini --targets q_proj,v_proj        names nothing: the projection is fused
  lorascope match Gemma-3-4B --all-linear --exclude lm_head
  lorascope match Llama-3.1-8B --regex '.*layers\\.[0-3]\\..*(q|v)_proj'
  lorascope match Qwen3-30B-A3B --config ./adapter          an adapter or its adapter_config.json
  lorascope match Llama-3.1-8B                              PEFT's default for the model type"""

_REFUSED = 2


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "match",
        help="what a target list or an adapter_config.json hits, and why",
        description="Show which modules PEFT adapts for a configuration, entry by entry.\n"
        "Without targets: those that PEFT chooses for the model type.",
        epilog=_EPILOG,
    )
    add_model(parser)
    targets = parser.add_argument_group("the configuration")
    which = targets.add_mutually_exclusive_group()
    which.add_argument(
        "--config",
        metavar="FILE|DIR",
        help="an adapter_config.json or the directory of an adapter",
    )
    which.add_argument(
        "--targets", type=values.names, metavar="NAME,...", help="target_modules as a list"
    )
    which.add_argument(
        "--regex", metavar="PATTERN", help="target_modules as one string, matched in full"
    )
    which.add_argument("--all-linear", action="store_true", help='target_modules="all-linear"')
    targets.add_argument(
        "--exclude", type=values.names, metavar="NAME,...", help="exclude_modules as a list"
    )
    targets.add_argument(
        "--target-parameters", type=values.names, metavar="NAME,...", help="target_parameters"
    )
    targets.add_argument(
        "--modules-to-save", type=values.names, metavar="NAME,...", help="modules_to_save"
    )
    targets.add_argument(
        "--layers", type=values.layers, metavar="A-B,...", help="layers_to_transform"
    )
    targets.add_argument("--rank", type=values.positive, metavar="R", help="r")
    targets.add_argument("--alpha", type=values.number, metavar="A", help="lora_alpha")
    targets.add_argument(
        "--rslora", action="store_true", default=None, help="use_rslora: scale by alpha/sqrt(r)"
    )
    targets.add_argument("--dora", action="store_true", default=None, help="use_dora")
    add_output(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Match a configuration and print what it hits.

    Returns:
        0, or 2 if PEFT refuses the configuration on this model, which the output then tells.
    """
    from lorascope.api import installed_peft
    from lorascope.cli import output
    from lorascope.cli.load import load
    from lorascope.matching import explain

    spec = _spec(options)
    inventory = load(options)
    found = explain(inventory, spec, peft_version=installed_peft())
    if options.json:
        from lorascope.report.json_match import match_json

        if found.refused is not None:
            output.tell(f"PEFT would refuse this: {found.refused}")
        output.write_json(match_json(found, inventory.model))
    else:
        from lorascope.report.match_text import match_text

        output.show(match_text(found, inventory, output.text_width(options.width)))
    return 0 if found.refused is None else _REFUSED


def _spec(options: argparse.Namespace) -> LoraSpec:
    """Read the configuration; an option says more than the file."""
    from dataclasses import replace

    from lorascope.core.spec import LoraSpec

    if options.config is None:
        return LoraSpec(**_stated(options))
    from lorascope.api import read_spec

    return replace(read_spec(options.config), **_stated(options))


def _stated(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields that the options state, under PEFT's names."""
    targets: tuple[str, ...] | str | None = options.regex
    if options.all_linear:
        targets = "all-linear"
    elif options.targets:
        targets = tuple(options.targets)
    fields = {
        "target_modules": targets,
        "exclude_modules": _tuple(options.exclude),
        "target_parameters": _tuple(options.target_parameters),
        "modules_to_save": _tuple(options.modules_to_save),
        "layers_to_transform": None if options.layers is None else tuple(sorted(options.layers)),
        "r": options.rank,
        "lora_alpha": options.alpha,
        "use_rslora": options.rslora,
        "use_dora": options.dora,
        "task_type": options.task_type,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tuple(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)
