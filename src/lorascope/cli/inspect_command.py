"""`lorascope inspect`: which modules a model has, and what each does."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lorascope.cli import values
from lorascope.cli.common import TOWERS, add_model, add_output
from lorascope.cli.usage import UsageError, YesOrNo, did_you_mean, quoted

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from lorascope.core.inventory import Inventory, Module
    from lorascope.core.roles import Role

_EPILOG = """\
examples:
  lorascope inspect Llama-3.1-8B
  lorascope inspect Qwen/Qwen3-30B-A3B@main --role moe --layer 0
  lorascope inspect ./my-model --tower vision
  lorascope inspect mamba --observe
  lorascope inspect gpt2 --names --role attention --role ffn
  lorascope inspect DeepSeek-V3 --json | jq '.modules[].path'"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "inspect",
        help="which modules a model has, and what each does",
        description="Show a model's sizes and its modules by role, without loading a weight:\n"
        "names, counts, shapes, parameters, and LoRA parameters for each unit of rank.",
        epilog=_EPILOG,
    )
    add_model(parser)
    parser.add_argument_group("observing").add_argument(
        "--observe",
        action=YesOrNo,
        help="run a copy of the model without weights to see what its modules do; --no-observe: do"
        " not (default: where it has to be built and that is quick; the cache keeps what was seen)",
    )
    narrow = parser.add_argument_group("what to show")
    narrow.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="ROLE",
        help="only this role, group of roles or short word: attention.q, moe.experts, ffn, q;"
        " may be repeated",
    )
    narrow.add_argument(
        "--tower",
        action="append",
        default=[],
        choices=TOWERS,
        metavar="TOWER",
        help=f"only this tower: {', '.join(TOWERS)}; may be repeated",
    )
    narrow.add_argument(
        "--layer",
        action="append",
        default=[],
        type=values.layers,
        metavar="N|A-B",
        help="only these layers; may be repeated",
    )
    narrow.add_argument(
        "--all", action="store_true", help="every module: blocks, norms and activations too"
    )
    _, forms = add_output(parser)
    forms.add_argument(
        "--names", action="store_true", help="print full names of adaptable modules, one a line"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Inspect a model and print what was asked for."""
    from lorascope.cli import output
    from lorascope.cli.load import load

    roles = [_roles_of(word) for word in options.role]
    inventory = load(options)
    modules = _narrowed(inventory, options, roles)
    if options.names:
        from lorascope.report.lines import clean

        named = [m for m in modules if options.all or (m.kind.adaptable and m.alias_of is None)]
        output.write("".join(f"{clean(module.path)}\n" for module in named if module.path))
    elif options.json:
        from lorascope.report.json_inventory import inventory_json

        output.write_json(inventory_json(inventory, modules=modules))
    else:
        from lorascope.report.inspect_text import inspect_text

        output.show(inspect_text(inventory, output.text_width(options.width), modules))
    return 0


def _narrowed(
    inventory: Inventory, options: argparse.Namespace, roles: Sequence[frozenset[Role]]
) -> list[Module]:
    modules = list(inventory.modules if options.all else inventory.listed)
    if roles:
        wanted = frozenset().union(*roles)
        modules = [module for module in modules if module.role in wanted]
    if options.tower:
        modules = [module for module in modules if module.tower in options.tower]
    if options.layer:
        indices = frozenset().union(*options.layer)
        modules = [module for module in modules if module.layer in indices]
    if not modules:
        raise _nothing_left(inventory, options)
    return modules


def _nothing_left(inventory: Inventory, options: argparse.Namespace) -> UsageError:
    asked = [f"--role {role}" for role in options.role]
    asked += [f"--tower {tower}" for tower in options.tower]
    asked += ["--layer"] if options.layer else []
    roles = ", ".join(sorted({str(module.role) for module in inventory.adaptable}))
    towers = ", ".join(sorted({str(module.tower) for module in inventory.listed}))
    layers = [module.layer for module in inventory.listed if module.layer is not None]
    last = f" Its layers are 0-{max(layers)}." if layers else ""
    return UsageError(
        f"{inventory.model.reference} has no module for {' '.join(asked) or 'this request'}.",
        f"Its roles are {roles}. Its towers are {towers}.{last}",
    )


def _roles_of(word: str) -> frozenset[Role]:
    """Return the roles that a word of `--role` means.

    Raises:
        UsageError: No role is called so; the nearest is named.
    """
    from lorascope.core.roles import Role
    from lorascope.planning.words import WORDS

    if word in WORDS:
        return WORDS[word]
    found = frozenset(r for r in Role if r.value == word or r.value.startswith(f"{word}."))
    if found:
        return found
    known = {*WORDS, *(r.value for r in Role), *(r.group for r in Role)}
    raise UsageError(
        f"--role: {quoted(word)} is no role.{did_you_mean(word.replace('-', '_'), known)}",
        f"Groups: {', '.join(dict.fromkeys(r.group for r in Role))}. Words: {', '.join(WORDS)}.",
    )
