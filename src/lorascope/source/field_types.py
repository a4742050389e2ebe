"""Check that values read from a file have the types that a dataclass states.

Types are compared exactly, column by column, so that checking a thousand modules takes a
millisecond: `true` is no number, and 1.0 is no whole number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from lorascope.core.roles import Tower

_NOTHING = type(None)


class _Form(NamedTuple):
    """What values of one field may be."""

    types: frozenset[type]
    items: type | None = None
    """What a list's or tuple's entries are; None if it is neither."""


_LISTS = frozenset({list, tuple})
_FORMS: Mapping[str, _Form] = {
    "str": _Form(frozenset({str})),
    "str | None": _Form(frozenset({str, _NOTHING})),
    "int": _Form(frozenset({int})),
    "int | None": _Form(frozenset({int, _NOTHING})),
    "bool": _Form(frozenset({bool})),
    "bool | None": _Form(frozenset({bool, _NOTHING})),
    "tuple[str, ...]": _Form(_LISTS, str),
    "tuple[int, ...]": _Form(_LISTS, int),
    "tuple[int, ...] | None": _Form(_LISTS | {_NOTHING}, int),
    "tuple[Tower, ...]": _Form(_LISTS, Tower),
    "tuple[Parameter, ...]": _Form(_LISTS, int),  # indices into the table of parameters
    "Observed | None": _Form(frozenset({int, _NOTHING})),  # index into that of observations
}
"""By annotation. Tuples may still be lists."""


def check_fields(value: Any) -> None:
    """Check the fields of one dataclass object.

    Raises:
        ValueError: One has another type than its annotation says.
    """
    check_columns(type(value), {each.name: [getattr(value, each.name)] for each in fields(value)})


def check_columns(
    cls: type, columns: Mapping[str, Collection[Any]], skip: Collection[str] = ()
) -> None:
    """Check the values that the fields of many objects of a dataclass are to have.

    Args:
        cls: The dataclass.
        columns: Field name → values.
        skip: Names of fields that are checked elsewhere.

    Raises:
        ValueError: One has another type than its annotation says.
    """
    for name, form in _forms(cls).items():
        if name not in skip and not _all_have(form, columns[name]):
            raise ValueError(f"{cls.__name__}.{name} has a value of another type")


@cache
def _forms(cls: type) -> dict[str, _Form | None]:
    return {each.name: _FORMS.get(str(each.type)) for each in fields(cls)}


def _all_have(form: _Form | None, values: Iterable[Any]) -> bool:
    if form is None or not set(map(type, values)) <= form.types:
        return False
    if form.items is None:
        return True
    return set(map(type, chain.from_iterable(filter(None, values)))) <= {form.items}
