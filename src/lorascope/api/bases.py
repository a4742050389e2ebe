"""Base models of several configurations: each is read once, whoever names it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lorascope.api.inspecting import inspect, inventory_of_source
from lorascope.core.errors import LorascopeError, ModelReferenceError
from lorascope.core.inventory import Inventory
from lorascope.source.examples import example_of_hub_id
from lorascope.source.resolver import resolve, resolve_base

_OTHER_CLASSES = frozenset({"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"})
"""Task types whose class is another one than a config usually names."""


@dataclass
class BaseModels:
    """Inventories by what names them; a failure is kept too and raised again."""

    offline: bool = False
    trust_remote_code: bool = False
    cache: bool = True
    refresh: bool = False
    _found: dict[tuple[str, ...], Inventory | LorascopeError] = field(default_factory=dict)

    def given(self, reference: str, task_type: str | None) -> Inventory:
        """Return the inventory of a model reference, in any form that `inspect` takes."""
        key = ("given", reference, task_type or "")
        if key not in self._found:
            self._found[key] = self._attempt(lambda: self._inspected(reference, task_type))
        return _or_raise(self._found[key])

    def named(
        self, name: str, beside: Path, *, revision: str | None, task_type: str | None
    ) -> Inventory:
        """Return the inventory of the base model that a file names.

        Where the Hub does not give a published model's config, a built-in example of the same id
        stands in, which the inventory's notes say.

        Args:
            name: Path or Hub id.
            beside: Directory of the file.
            revision: Of a Hub id; None for the default branch.
            task_type: PEFT task type of the configuration.
        """
        task = task_type if task_type in _OTHER_CLASSES else None
        place = str(beside.absolute()) if _may_be_beside(name, beside) else ""
        key = ("named", name, place, revision or "", task or "")
        if key not in self._found:
            self._found[key] = self._attempt(lambda: self._base(name, beside, revision, task))
        return _or_raise(self._found[key])

    @staticmethod
    def _attempt(read: Callable[[], Inventory]) -> Inventory | LorascopeError:
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

    def _base(
        self, name: str, beside: Path, revision: str | None, task_type: str | None
    ) -> Inventory:
        note = None
        try:
            source = resolve_base(name, beside, offline=self.offline, revision=revision)
        except ModelReferenceError:
            example = example_of_hub_id(name)
            if example is None:
                raise
            source = resolve(example.name)
            note = f"The Hub did not give {name}; the built-in example {example.name} stands in."
        found = inventory_of_source(
            source,
            task_type=task_type,
            trust_remote_code=self.trust_remote_code,
            cache=self.cache,
            refresh=self.refresh,
        )
        if note is None:
            return found
        return replace(found, model=replace(found.model, notes=(note, *found.model.notes)))


def _may_be_beside(name: str, beside: Path) -> bool:
    """Whether the name may mean something else for another directory."""
    try:
        return not os.path.isabs(name) and (beside / name).exists()  # noqa: PTH117 - any text
    except (OSError, ValueError):  # a name that the file system cannot hold
        return False


def _or_raise(found: Inventory | LorascopeError) -> Inventory:
    if isinstance(found, LorascopeError):
        raise found
    return found
