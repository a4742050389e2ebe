"""What `lorascope export` is to write: a configuration that is there, or a plan for a model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lorascope.cli.usage import UsageError

if TYPE_CHECKING:
    from lorascope.api.bases import BaseModels
    from lorascope.core.inventory import Inventory
    from lorascope.exporting.exporter import FileBase, ReadBase
    from lorascope.matching.configured import Configured

_PLANNING = (
    "preset",
    "task",
    "roles",
    "layers",
    "exclude",
    "tower",
    "experts",
    "rank",
    "alpha",
    "dropout",
    "rslora",
    "dora",
    "init",
    "serve",
    "max_params",
    "task_type",
)
"""Options that make a plan for a model."""
_FILES = (".json", ".yaml", ".yml", ".sh", ".bash")
_MODELS = (".gguf", ".safetensors")


def wanted_of(options: argparse.Namespace) -> Configured:
    """Return what the options name, worked out on its model.

    Raises:
        UsageError: Options of a plan are given with a configuration.
        LorascopeError: It cannot be read, or no plan can be made.
    """
    if options.plan == "":
        raise UsageError(
            "lorascope export: expected PLAN, got '', which names nothing.",
            "See: lorascope export --help",
        )
    if _names_configuration(options):
        return _configured(options)
    return _planned(options)


def _names_configuration(options: argparse.Namespace) -> bool:
    """Whether PLAN is a file or directory with a configuration, and not a model."""
    from lorascope.core.errors import LorascopeError, RecipeError, UnknownFormatError
    from lorascope.formats import read_recipes
    from lorascope.source.local import ADAPTER_FILE
    from lorascope.source.recipe_files import read_text

    path = Path(options.plan)
    if options.format is not None or options.model is not None:
        _check_there(path)
        return True
    try:
        if path.is_dir():
            return (path / ADAPTER_FILE).is_file()
        if not path.is_file():
            if path.suffix in _FILES:
                raise RecipeError(f"There is no file {path}.", "Check the path.")
            return False
    except (OSError, ValueError):  # a name that the file system cannot hold
        return False
    if path.suffix in _MODELS:
        return False
    try:
        read_recipes(read_text(path), str(path))
    except UnknownFormatError:
        # A model's config.json names its class; what else is of no tool is said so.
        return path.name != "config.json"
    except LorascopeError:
        return True
    return True


def _check_there(path: Path) -> None:
    """Make sure that PLAN is a file or a directory: with MODEL or --format it can be nothing else.

    Raises:
        RecipeError: It is none.
    """
    from lorascope.core.errors import RecipeError

    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if not exists:
        raise RecipeError(
            f"There is no file or directory {path}.",
            "With MODEL or --format PLAN is a configuration; a model is named alone.",
        )


def _configured(options: argparse.Namespace) -> Configured:
    from lorascope.api.configured import configured
    from lorascope.cli.progress import working
    from lorascope.core.errors import UnnamedModelError
    from lorascope.core.recipe import Tool

    given = [name for name in _PLANNING if getattr(options, name) not in (None, [], False)]
    given += ["bias"] if options.bias != "none" else []
    if given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"lorascope export: {named} is given with {options.plan}, which is a configuration"
            " already.",
            "Name a model to plan for, or leave the option out.",
        )
    bases = _bases(options)
    tool = None if options.format is None else Tool(options.format)
    with working(f"reading {options.plan}"):
        try:
            return configured(options.plan, options.model, tool=tool, bases=bases)
        except UnnamedModelError as error:
            raise UnnamedModelError(
                error.what, "Name it: lorascope export PLAN MODEL --to TOOL."
            ) from error


def base_reader(options: argparse.Namespace) -> ReadBase:
    """Return what reads the base model of the file that --into names."""
    from lorascope.api.bases import BaseName

    def read(base: FileBase) -> Inventory:
        beside = Path(base.origin).parent
        return _bases(options).named(BaseName(base.name, beside, base.revision, base.task_type))

    return read


def _bases(options: argparse.Namespace) -> BaseModels:
    from lorascope.api.bases import BaseModels

    return BaseModels(
        offline=options.offline,
        trust_remote_code=options.trust_remote_code,
        cache=not options.no_cache,
        refresh=options.refresh,
    )


def _planned(options: argparse.Namespace) -> Configured:
    from dataclasses import replace

    from lorascope.api.exports import wanted_of as wanted_of_plan
    from lorascope.api.exports import without_dropout
    from lorascope.api.plans import fit
    from lorascope.cli import load as loading
    from lorascope.cli.plan_command import request_of
    from lorascope.core.export import Trainer
    from lorascope.exporting.exporters import exporter_of

    to = Trainer(options.to)
    is_without = options.dropout is None and not exporter_of(to).has_dropout
    request = request_of(options)
    if is_without:
        request = replace(request, dropout=0.0)
    named = argparse.Namespace(**{**vars(options), "model": options.plan})
    inventory = loading.load(named)
    plan = fit(inventory, request).plan
    wanted = wanted_of_plan(plan, inventory)
    return without_dropout(wanted, to) if is_without else wanted
