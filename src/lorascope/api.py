"""The verbs of lorascope as functions: from a reference, a module or an inventory to an answer.

What only a build needs is imported there, so that an answer from the cache stays quick.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorascope.core.errors import (
    INSTALL_TORCH,
    LorascopeError,
    MissingDependencyError,
    ModelReferenceError,
    RemoteCodeError,
    SpecificationError,
    UnknownModelTypeError,
)
from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.source.cache import Cache, cache_key
from lorascope.source.config_file import load_config_file
from lorascope.source.local import ADAPTER_FILE
from lorascope.source.resolver import resolve

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.plan import Plan
    from lorascope.matching.result import Match
    from lorascope.source.model_source import ModelSource


def inspect(
    model: str | os.PathLike[str] | nn.Module,
    *,
    task_type: str | None = None,
    revision: str | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
    cache: bool = True,
    refresh: bool = False,
) -> Inventory:
    """List the modules of a model, with what each does and what LoRA costs there.

    Args:
        model: A Hub id (`owner/name`, optionally `@revision`), a directory, a `config.json`, a
            GGUF file, a transformers model type, a built-in example, or an `nn.Module`.
        task_type: PEFT task type that overrides the class the config names.
        revision: Hub revision; `@revision` in the reference says the same.
        offline: Use only what the Hub's local cache has.
        trust_remote_code: Run the code of the model's repository if its class needs that.
        cache: Answer from lorascope's cache of inventories, and fill it.
        refresh: Build anew even if the cache has an answer.

    Raises:
        ModelReferenceError: The reference names nothing that can be read.
        ModelConfigError: The config is malformed or contradicts itself.
        ModelBuildError: transformers cannot build the model.
        RemoteCodeError: Its class is code of its repository, and no checkpoint header is at hand.
        MissingDependencyError: torch or transformers is needed and not installed.
    """
    if not isinstance(model, (str, os.PathLike)):
        if not hasattr(model, "named_modules"):
            raise ModelReferenceError(
                f"A model cannot be read from {type(model).__name__}.",
                "Give a reference as a string or path, or an nn.Module.",
            )
        from lorascope.build import inventory_of
        from lorascope.roles import assign

        return assign(inventory_of(model))
    source = resolve(os.fspath(model), offline=offline, revision=revision)
    if not cache:
        return _labelled(_built(source, task_type, trust_remote_code), source)
    store = Cache.default()
    key = cache_key(source, task_type, trust_remote_code)
    found = None if refresh else store.load(key)
    if found is None and _missing_libraries():
        found = store.load_of_any_version(key)
    if found is not None:
        found = replace(found, built_with=replace(found.built_with, method="cache"))
    else:
        found = _built(source, task_type, trust_remote_code)
        # A repository's code and headers may change under the same config.
        if found.built_with.method == "meta" and not found.model.is_remote_code:
            store.store(key, found)
    found = _labelled(found, source)
    return found if store.problem is None else _with_note(found, store.problem)


def plan(
    model: str | os.PathLike[str] | nn.Module | Inventory,
    preset: str | None = None,
    **options: Any,
) -> Plan:
    """Work a preset out for one model.

    Args:
        model: An inventory, or what `inspect` takes.
        preset: `qv`, `attention`, `extended`, `ffn`, `vod` or `all-linear`; None for `qv`, or for
            what the option `task` advises.
        options: Fields of `lorascope.planning.PlanRequest`: task, rank, alpha, dropout, bias,
            rslora, dora, init, roles, layers, exclude, towers, experts, max_params.

    Raises:
        PlanError: The model has none of the roles, an option is wrong, or nothing fits.
    """
    from lorascope.planning import make_plan, request_from

    options.setdefault("peft_version", installed_peft())
    return make_plan(_inventory(model), request_from(preset=preset, **options))


def match(
    config: Mapping[str, Any] | str | os.PathLike[str] | LoraSpec | Any,
    model: str | os.PathLike[str] | nn.Module | Inventory,
) -> Match:
    """Say what a LoRA configuration hits in a model, entry by entry, as PEFT would have it.

    Args:
        config: A `LoraSpec`, a `peft.LoraConfig`, a mapping of its fields, or the path of an
            `adapter_config.json` or of the directory that holds one.
        model: An inventory, or what `inspect` takes.

    Raises:
        SpecificationError: PEFT itself would refuse the configuration.
    """
    from lorascope.matching import match as select

    return select(_inventory(model), read_spec(config), peft_version=installed_peft())


def installed_peft() -> str:
    """Return the PEFT release whose behaviour answers follow: the installed, else the newest."""
    from lorascope.matching import NEWEST
    from lorascope.source.versions import installed_version

    return installed_version("peft") or NEWEST


def read_spec(config: Mapping[str, Any] | str | os.PathLike[str] | LoraSpec | Any) -> LoraSpec:
    """Read a LoRA configuration in any of the forms that `match` takes."""
    if isinstance(config, LoraSpec):
        return config
    if isinstance(config, Mapping):
        return LoraSpec.from_dict(config)
    if isinstance(config, (str, os.PathLike)):
        path = Path(config)
        with contextlib.suppress(OSError):  # a name that the file system cannot hold
            path = path / ADAPTER_FILE if path.is_dir() else path
        return LoraSpec.from_dict(load_config_file(path), where=str(path))
    if hasattr(config, "to_dict"):
        return LoraSpec.from_dict(config.to_dict(), where=type(config).__name__)
    raise SpecificationError(
        f"A LoRA configuration cannot be read from {type(config).__name__}.",
        "Give a mapping, a peft.LoraConfig or the path of an adapter_config.json.",
    )


def _inventory(model: str | os.PathLike[str] | nn.Module | Inventory) -> Inventory:
    return model if isinstance(model, Inventory) else inspect(model)


def _missing_libraries() -> list[str]:
    return [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]


def _built(source: ModelSource, task_type: str | None, trust_remote_code: bool) -> Inventory:
    """Build on the meta device, or read the checkpoint's headers where that cannot be done."""
    missing = _missing_libraries()
    if missing:
        return _from_headers(
            source,
            MissingDependencyError(
                f"Building {source.reference} needs {' and '.join(missing)}, not installed here.",
                INSTALL_TORCH,
            ),
        )
    from lorascope.build import build
    from lorascope.roles import assign

    try:
        return assign(build(source, task_type=task_type, trust_remote_code=trust_remote_code))
    except (RemoteCodeError, UnknownModelTypeError) as error:
        return _from_headers(source, error)


def _from_headers(source: ModelSource, reason: LorascopeError) -> Inventory:
    """Read the inventory off the checkpoint's headers, or raise why it could not be built."""
    if source.tensors() is None:
        raise reason
    from lorascope.roles import assign
    from lorascope.source.checkpoint import inventory_from_tensors

    found = assign(inventory_from_tensors(source))
    remote = isinstance(reason, RemoteCodeError)
    found = replace(found, model=replace(found.model, is_remote_code=remote))
    return _with_note(found, f"Read from the checkpoint's headers: {reason.what}")


def _with_note(inventory: Inventory, note: str) -> Inventory:
    info = replace(inventory.model, notes=(note, *inventory.model.notes))
    return replace(inventory, model=info)


def _labelled(inventory: Inventory, source: ModelSource) -> Inventory:
    """Say of an inventory which reference it answers; the cache holds it without one."""
    info = replace(
        inventory.model,
        reference=source.reference,
        is_default_config=source.is_default_config,
        base_model=source.base_model,
        revision=source.revision,
        notes=(*source.notes, *inventory.model.notes),
    )
    return replace(inventory, model=info)
