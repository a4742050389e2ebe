"""`lorascope.inspect`: from a reference or a module to its inventory."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from lorascope.api.libraries import missing_of
from lorascope.core.errors import (
    INSTALL_TORCH,
    LorascopeError,
    MissingDependencyError,
    ModelReferenceError,
    RemoteCodeError,
    UnknownModelTypeError,
)
from lorascope.core.inventory import Inventory
from lorascope.source.cache import Cache, cache_key
from lorascope.source.resolver import resolve

if TYPE_CHECKING:
    from torch import nn

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
    observe: bool | None = None,
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
        observe: Run a weightless copy of the model, to see what its modules do. None: where it is
            built anyway and that is quick. False: do not; the cache may still know from earlier.

    Raises:
        ModelReferenceError: The reference names nothing that can be read.
        ModelConfigError: The config is malformed or contradicts itself.
        ModelBuildError: transformers cannot build the model.
        RemoteCodeError: Its class is code of its repository, and no checkpoint header is at hand.
        MissingDependencyError: torch or transformers is needed and not installed.

    The last two are raised even with headers at hand if `observe` is True: these cannot be run.
    """
    if not isinstance(model, (str, os.PathLike)):
        if not hasattr(model, "named_modules"):
            raise no_model(model)
        from lorascope.observe.inspected import inspect_module

        return inspect_module(model, observe)
    source = resolve(os.fspath(model), offline=offline, revision=revision)
    return inventory_of_source(
        source,
        task_type=task_type,
        trust_remote_code=trust_remote_code,
        cache=cache,
        refresh=refresh,
        observe=observe,
    )


def inventory_of_source(
    source: ModelSource,
    *,
    task_type: str | None = None,
    trust_remote_code: bool = False,
    cache: bool = True,
    refresh: bool = False,
    observe: bool | None = None,
) -> Inventory:
    """Return the inventory of a model whose config is at hand, as `inspect` does.

    Raises:
        ModelBuildError: As `inspect`, and so all that it raises once it has found the model.
    """
    if not cache:
        return _labelled(_built(source, task_type, trust_remote_code, observe), source)
    store = Cache.default()
    key = cache_key(source, task_type, trust_remote_code)
    found = None if refresh else store.load(key)
    if found is None and missing_of("torch", "transformers"):
        found = store.load_of_any_version(key)
    if found is not None and not (observe and found.observation is None):
        found = replace(found, built_with=replace(found.built_with, method="cache"))
    else:
        found = _built(source, task_type, trust_remote_code, observe)
        # A repository's code and headers may change under the same config.
        if found.built_with.method == "meta" and not found.model.is_remote_code:
            store.store(key, found)
    found = _labelled(found, source)
    return found if store.problem is None else _with_note(found, store.problem)


def inventory_for(model: str | os.PathLike[str] | nn.Module | Inventory) -> Inventory:
    """Return an inventory as it is, and that of anything else."""
    return model if isinstance(model, Inventory) else inspect(model)


def no_model(model: object) -> ModelReferenceError:
    """Return the error for what is neither a reference nor a module."""
    return ModelReferenceError(
        f"A model cannot be read from {type(model).__name__}.",
        "Give a reference as a string or path, or an nn.Module.",
    )


def _built(
    source: ModelSource, task_type: str | None, trust_remote_code: bool, observe: bool | None
) -> Inventory:
    """Build on the meta device, or read the checkpoint's headers where that cannot be done."""
    missing = missing_of("torch", "transformers")
    if missing:
        return _from_headers(
            source,
            MissingDependencyError(
                f"Building {source.reference} needs {' and '.join(missing)}, not installed here.",
                INSTALL_TORCH,
            ),
            observe,
        )
    from lorascope.observe.inspected import inspect_source

    try:
        return inspect_source(source, task_type, trust_remote_code, observe)
    except (RemoteCodeError, UnknownModelTypeError) as error:
        return _from_headers(source, error, observe)


def _from_headers(source: ModelSource, reason: LorascopeError, observe: bool | None) -> Inventory:
    """Read the inventory off the checkpoint's headers, or raise why it could not be built."""
    if source.tensors() is None:
        raise reason
    if observe:
        raise type(reason)(
            f"To observe a model is to run it, which headers alone do not allow. {reason.what}",
            f"{reason.hint or ''} Without --observe (observe=None) the headers are enough.".strip(),
        )
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
