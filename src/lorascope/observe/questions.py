"""What can be asked of an object without running any of its code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import nn

from lorascope.observe.effects import Path


class _Unknown:
    """What only a run could tell."""


UNKNOWN: Final = _Unknown()


class _Something:
    """A module, parameter or buffer: it is there, and that is all that matters here."""


SOMETHING: Final = _Something()


class _Truthy:
    """A value that counts as true and may be one of several."""


TRUTHY: Final = _Truthy()

PLAIN = (bool, int, float, str, type(None))
"""Types whose values can be compared without running anybody's code."""


class Questions:
    """Answers what is asked of one object, and notes each answer."""

    def __init__(self, instance: nn.Module) -> None:
        self._instance = instance
        self.answers: dict[tuple[bool, Path], object] = {}
        """Whether only the presence was asked, and path from the object → the answer."""

    def value(self, path: Path) -> object:
        """Return a plain value, `SOMETHING` or `UNKNOWN`."""
        return self._noted((False, path))

    def has(self, path: Path) -> object:
        """Return whether the attribute is there, or `UNKNOWN`."""
        return self._noted((True, path))

    def _noted(self, question: tuple[bool, Path]) -> object:
        return self.answers.setdefault(question, _answer(self._instance, question))


def same_answers(instance: nn.Module, answers: Mapping[tuple[bool, Path], object]) -> bool:
    """Whether `instance` answers all that another object was asked as that one did."""
    return all(_answer(instance, question) == answer for question, answer in answers.items())


def _answer(instance: nn.Module, question: tuple[bool, Path]) -> object:
    is_presence, path = question
    return _has(instance, path) if is_presence else _looked_up(instance, path)


def _looked_up(instance: nn.Module, path: Path) -> object:
    owner = _object_at(instance, path[:-1])
    if owner is UNKNOWN:
        return UNKNOWN
    if path[-1] == "training" and isinstance(owner, nn.Module):
        return True
    found = _lookup(owner, path[-1])
    if isinstance(found, PLAIN):
        return found
    return SOMETHING if isinstance(found, (nn.Module, nn.Parameter)) else UNKNOWN


def _has(instance: nn.Module, path: Path) -> object:
    owner = _object_at(instance, path[:-1])
    if owner is UNKNOWN:
        return UNKNOWN
    if _lookup(owner, path[-1]) is not UNKNOWN:
        return True
    # A class may answer by a property or by `__getattr__`, which would have to run.
    answers = hasattr(type(owner), path[-1]) or hasattr(type(owner), "__getattr__")
    return UNKNOWN if answers and not isinstance(owner, nn.Module) else False


def _object_at(instance: object, path: Path) -> object:
    found = instance
    for name in path:
        found = _lookup(found, name)
        if not hasattr(found, "__dict__") or isinstance(found, (_Unknown, type)):
            return UNKNOWN
    return found


def _lookup(owner: object, name: str) -> object:
    """Look into the object's own dictionaries, so that no property runs."""
    attributes = vars(owner)
    if name in attributes:
        return attributes[name]
    if isinstance(owner, nn.Module):
        for store in ("_modules", "_parameters", "_buffers"):
            if name in attributes[store]:
                return attributes[store][name]
    return UNKNOWN
