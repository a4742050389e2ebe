"""Base models of several configurations: each is read once, whoever names it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lorascope.api.inspecting import inspect, inventory_of_source
from lorascope.api.libraries import missing_of
from lorascope.core.errors import LorascopeError, ModelReferenceError
from lorascope.core.inventory import Inventory
from lorascope.source.cache import Cache, cache_key
from lorascope.source.examples import example_of_hub_id
from lorascope.source.resolver import resolve, resolve_base

if TYPE_CHECKING:
    from lorascope.source.model_source import ModelSource

_T = TypeVar("_T")
_OTHER_CLASSES = frozenset({"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"})
"""Task types whose class is another one than a config usually names."""


@dataclass(frozen=True, slots=True)
class BaseName:
    """A base model as a file names it."""

    name: str
    """Path or Hub id."""
    beside: Path
    """Directory of the file."""
    revision: str | None
    """Of a Hub id; None for the default branch."""
    task_type: str | None
    """PEFT task type of the configuration."""


@dataclass
class BaseModels:
    """Inventories by what names them; a failure is kept too and raised again."""

    offline: bool = False
    trust_remote_code: bool = False
    cache: bool = True
    refresh: bool = False
    _found: dict[tuple[str, ...], Inventory | LorascopeError] = field(default_factory=dict)
    _sources: dict[tuple[str, ...], ModelSource | LorascopeError] = field(default_factory=dict)

    def given(self, reference: str, task_type: str | None) -> Inventory:
        """Return the inventory of a model reference, in any form that `inspect` takes."""
        key = ("given", reference, task_type or "")
        if key not in self._found:
            self._found[key] = self._attempt(lambda: self._inspected(reference, task_type))
        return _or_raise(self._found[key])

    def named(self, base: BaseName) -> Inventory:
        """Return the inventory of the base model that a file names.

        Where the Hub does not give a published model's config, a built-in example of the same id
        stands in, which the inventory's notes say.
        """
        task = base.task_type if base.task_type in _OTHER_CLASSES else None
        key = ("named", *_identity(base), task or "")
        if key not in self._found:
            self._found[key] = self._attempt(lambda: self._base(base, task))
        return _or_raise(self._found[key])

    def lacking(self, bases: Iterable[BaseName]) -> tuple[BaseName, ...]:
        """Return those whose inventory would have to be built and could be cached, each once.

        None are where the cache is not to be used or cannot be written, where the code of
        repositories may run, and where the libraries that build are not installed.
        """
        if not self.cache or self.refresh or self.trust_remote_code:
            return ()
        store = Cache.default()
        if missing_of("torch", "transformers") or not store.is_writable():
            return ()
        found: dict[str, BaseName] = {}
        for base in dict.fromkeys(bases):
            task = base.task_type if base.task_type in _OTHER_CLASSES else None
            try:
                source = self._source(base)
            except LorascopeError:  # told by whoever asks for the inventory
                continue
            key = cache_key(source, task, self.trust_remote_code)
            if key not in found and not store.has(key):
                found[key] = base
        return tuple(found.values())

    @staticmethod
    def _attempt(read: Callable[[], _T]) -> _T | LorascopeError:
        try:
            return read()
        except LorascopeError as error:
            return error

    def _inspected(self, reference: str, task_type: str | None) -> Inventory:
        return inspect(
            reference,
            task_type=task_type if task_type in _OTHER_CLASSES else None,
            offline=self.offline,
            trust_remote_code=self.trust_remote_code,
            cache=self.cache,
            refresh=self.refresh,
        )

    def _base(self, base: BaseName, task_type: str | None) -> Inventory:
        return inventory_of_source(
            self._source(base),
            task_type=task_type,
            trust_remote_code=self.trust_remote_code,
            cache=self.cache,
            refresh=self.refresh,
        )

    def _source(self, base: BaseName) -> ModelSource:
        key = _identity(base)
        if key not in self._sources:
            self._sources[key] = self._attempt(lambda: self._resolved(base))
        return _or_raise(self._sources[key])

    def _resolved(self, base: BaseName) -> ModelSource:
        try:
            return resolve_base(
                base.name, base.beside, offline=self.offline, revision=base.revision
            )
        except ModelReferenceError:
            example = example_of_hub_id(base.name)
            if example is None:
                raise
            source = resolve(example.name)
            instead = f"the built-in example {example.name} stands in"
            note = f"The Hub did not give {base.name}; {instead}."
            return replace(source, notes=(note, *source.notes))


def _identity(base: BaseName) -> tuple[str, str, str]:
    """Return what tells the model that is named from others."""
    place = str(base.beside.absolute()) if _may_be_beside(base.name, base.beside) else ""
    return (base.name, place, base.revision or "")


def _may_be_beside(name: str, beside: Path) -> bool:
    """Whether the name may mean something else for another directory."""
    try:
        return not os.path.isabs(name) and (beside / name).exists()  # noqa: PTH117 - any text
    except (OSError, ValueError):  # a name that the file system cannot hold
        return False


def _or_raise(found: _T | LorascopeError) -> _T:
    if isinstance(found, LorascopeError):
        raise found
    return found
