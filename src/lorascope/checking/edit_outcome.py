"""What a recipe would be with a finding's edits, so that no mending makes things worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lorascope.checking.subject import Subject
from lorascope.checking.subject_of import subject_of
from lorascope.core.errors import LorascopeError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Edit

_MOST_TRIED = 10
"""Different edits that are tried for one configuration; further ones are not proposed."""


def makes_refused(subject: Subject, edits: Sequence[Edit]) -> bool:
    """Whether PEFT takes the configuration as it is, and would refuse it with these edits.

    Only edits of a whole field are tried: a list that becomes a string meets other conditions.
    """
    if subject.inventory is None or subject.refused is not None:
        return False
    if all(edit.entry is not None for edit in edits):
        return False
    tried = subject.worked_out.setdefault("makes_refused", {})
    key = _key(edits)
    if key not in tried:
        tried[key] = len(tried) >= _MOST_TRIED or _is_refused(subject, subject.inventory, edits)
    return bool(tried[key])


def _key(edits: Sequence[Edit]) -> object:
    key = tuple(edits)
    try:
        hash(key)
    except TypeError:  # the value of one is a mapping or a list
        return repr(key)
    return key


def _is_refused(subject: Subject, inventory: Inventory, edits: Sequence[Edit]) -> bool:
    recipe = replace(subject.recipe, stated=_edited(subject.recipe.stated, edits))
    try:
        after = subject_of(
            recipe, inventory, peft_version=subject.peft_version, regex=subject.regex
        )
    except LorascopeError:
        return True
    return after.refused is not None


def _edited(stated: Mapping[str, Any], edits: Sequence[Edit]) -> Mapping[str, Any]:
    values = dict(stated)
    for edit in edits:
        value = values.get(edit.field)
        if edit.entry is None:
            values[edit.field] = edit.value
        elif isinstance(value, (list, tuple)):
            values[edit.field] = tuple(
                new
                for entry in value
                for new in (edit.value if str(entry) == edit.entry else (entry,))
            )
        elif isinstance(value, Mapping):
            kept = {key: each for key, each in value.items() if key != edit.entry}
            values[edit.field] = kept
    return values
