"""An inventory as compact bytes and back, exactly.

The bytes are JSON under zlib: 20 to 40 times smaller, for half a millisecond a thousand modules.
Modules are stored column by column, so that reading is a few list passes and one `Module(...)`
each; equal parameters and equal observations are stored once and shared again after reading.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from itertools import starmap
from typing import Any

from lorascope.core.inventory import BuiltWith, Inventory, ModelInfo, Module, Parameter
from lorascope.core.observation import Call, ObservationInfo, Observed
from lorascope.core.roles import Evidence, Kind, Role, Tower
from lorascope.source.field_types import check_columns, check_fields

_MODULE_FIELDS = tuple(each.name for each in fields(Module))
_MODEL_FIELDS = tuple(each.name for each in fields(ModelInfo))
_BUILT_FIELDS = tuple(each.name for each in fields(BuiltWith))
_OBSERVATION_FIELDS = tuple(each.name for each in fields(ObservationInfo))
_OBSERVED_FIELDS = tuple(each.name for each in fields(Observed))
_PARAMETER_FIELDS = tuple(each.name for each in fields(Parameter))
LARGEST_TEXT = 64_000_000
"""Bytes of JSON; an inventory of over 60,000 modules has 10,000,000."""
_MOST_LISTS = 4_000_000
"""Lists and objects in that JSON, three a module, each of which takes some 60 bytes parsed."""
_ENUMS: Mapping[str, Mapping[str | None, Any]] = {
    "kind": {each.value: each for each in Kind},
    "role": {each.value: each for each in Role},
    "evidence": {each.value: each for each in Evidence},
    "tower": {each.value: each for each in Tower},
    "named_role": {None: None, **{each.value: each for each in Role}},
}
"""Module columns that hold members of an enumeration; stored as their values."""
_OBSERVED_ENUMS: Mapping[str, Mapping[str | None, Any]] = {
    "call": {each.value: each for each in Call},
    "role": {None: None, **{each.value: each for each in Role}},
}
"""The same for the columns of observations."""


def encode(inventory: Inventory) -> bytes:
    """Write `inventory`."""
    table: dict[Parameter, int] = {}
    columns: dict[str, list[Any]] = {
        name: [getattr(module, name) for module in inventory.modules] for name in _MODULE_FIELDS
    }
    columns["parameters"] = [
        [table.setdefault(parameter, len(table)) for parameter in parameters]
        for parameters in columns["parameters"]
    ]
    seen: dict[Observed, int] = {}
    columns["observed"] = [
        None if observed is None else seen.setdefault(observed, len(seen))
        for observed in columns["observed"]
    ]
    document = {
        "model": {name: getattr(inventory.model, name) for name in _MODEL_FIELDS},
        "built_with": {name: getattr(inventory.built_with, name) for name in _BUILT_FIELDS},
        "parameters": [[each.name, each.shape, each.tied_to] for each in table],
        "observed": {name: [getattr(each, name) for each in seen] for name in _OBSERVED_FIELDS},
        "observation": _observation_values(inventory.observation),
        "modules": columns,
    }
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode("ascii"), level=1)


def decode(content: bytes) -> Inventory:
    """Read what `encode` wrote.

    Raises:
        ValueError: It is not that.
    """
    try:
        document = json.loads(_inflated(content))
        built_with = BuiltWith(**document["built_with"])
        check_fields(built_with)
        return Inventory(
            model=_model(document["model"]),
            built_with=built_with,
            modules=_modules(document["modules"], document["parameters"], document["observed"]),
            observation=_observation(document["observation"]),
        )
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an inventory: {error!r}") from error


def _inflated(content: bytes) -> bytes:
    inflator = zlib.decompressobj()
    try:
        text = inflator.decompress(content, LARGEST_TEXT)
    except zlib.error as error:
        raise ValueError(f"not an inventory: {error}") from error
    if not inflator.eof:
        raise ValueError("cut off, or larger than any inventory")
    if text.count(b"[") + text.count(b"{") > _MOST_LISTS:
        raise ValueError("more lists than any inventory")
    return text


def _model(values: dict[str, Any]) -> ModelInfo:
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    given["main_towers"] = tuple(map(Tower, given["main_towers"]))
    model = ModelInfo(**given)
    check_fields(model)
    return model


def _observation_values(observation: ObservationInfo | None) -> dict[str, Any] | None:
    if observation is None:
        return None
    return {name: getattr(observation, name) for name in _OBSERVATION_FIELDS}


def _observation(values: dict[str, Any] | None) -> ObservationInfo | None:
    if values is None:
        return None
    observation = ObservationInfo(**values)
    check_fields(observation)
    return replace(observation, inputs=tuple(observation.inputs), notes=tuple(observation.notes))


def _observed(columns: dict[str, list[Any]]) -> list[Observed]:
    """Read the table of observations, one column a field of `Observed`."""
    if tuple(columns) != _OBSERVED_FIELDS:
        raise ValueError("other columns than this version has")
    check_columns(Observed, columns, skip=_OBSERVED_ENUMS)
    converted = [
        map(_OBSERVED_ENUMS[name].__getitem__, column) if name in _OBSERVED_ENUMS else column
        for name, column in columns.items()
    ]
    return list(starmap(Observed, zip(*converted, strict=True)))


def _modules(
    columns: dict[str, list[Any]], stored: list[Any], observations: dict[str, list[Any]]
) -> tuple[Module, ...]:
    if tuple(columns) != _MODULE_FIELDS or len({len(each) for each in columns.values()}) != 1:
        raise ValueError("other columns than this version has")
    check_columns(Module, columns, skip=_ENUMS)
    table = [Parameter(name, tuple(shape), tied_to) for name, shape, tied_to in stored]
    check_columns(
        Parameter, {name: [getattr(each, name) for each in table] for name in _PARAMETER_FIELDS}
    )
    converters: dict[str, Callable[[Any], Any]] = {
        name: members.__getitem__ for name, members in _ENUMS.items()
    }
    converters["parameters"] = lambda indices: tuple([table[index] for index in indices])
    seen = _observed(observations)
    converters["observed"] = lambda index: None if index is None else seen[index]
    converters["kernel"] = lambda kernel: None if kernel is None else tuple(kernel)
    converters["hazards"] = tuple
    converted = [
        map(converters[name], column) if name in converters else column
        for name, column in columns.items()
    ]
    return tuple(starmap(Module, zip(*converted, strict=True)))
