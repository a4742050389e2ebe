"""The role tables: TOML files beside this one, read with a closed schema.

A table is a generic one (names that many families share) or a family's. A row needs `pattern`,
`role` and `source`; an unknown key, role, kind or hazard fails with the file and the row named.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lorascope.core.errors import LorascopeError
from lorascope.core.inventory import HAZARDS
from lorascope.core.roles import Kind, Role
from lorascope.roles.rule import LINEAR_LIKE, Rule, has_wildcard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TABLE_KEYS = frozenset({"level", "row"})
_REQUIRED = frozenset({"pattern", "role", "source"})
_OPTIONAL = frozenset({"kind", "parent", "class", "model_types", "hazards"})
_LEVELS = ("generic", "family")


class RoleTableError(LorascopeError):
    """A role table breaks the schema; the message names the file and the row."""


@cache
def shipped_rules() -> tuple[Rule, ...]:
    """Read every table that comes with lorascope, in the order of their names."""
    folder = files("lorascope.roles") / "tables"
    tables = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")),
        key=lambda entry: entry.name,
    )
    return tuple(
        rule
        for table in tables
        for rule in parse_table(table.name.removesuffix(".toml"), table.read_text("utf-8"))
    )


def parse_table(table: str, text: str) -> tuple[Rule, ...]:
    """Parse one table.

    Args:
        table: Name of the table, for `Rule.table` and for messages.
        text: Its TOML.

    Raises:
        RoleTableError: It is no TOML, or breaks the schema.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RoleTableError(f"Role table {table} is not valid TOML: {error}.") from error
    _refuse_unknown(document, _TABLE_KEYS, f"Role table {table}")
    level = document.get("level")
    if level not in _LEVELS:
        raise RoleTableError(
            f"Role table {table}: level must be one of {', '.join(_LEVELS)}, got {level!r}."
        )
    rules = tuple(_rules(table, document.get("row"), family=level == "family"))
    _refuse_duplicates(table, rules)
    return rules


def _rules(table: str, rows: object, *, family: bool) -> Iterator[Rule]:
    if not isinstance(rows, list) or not rows:
        raise RoleTableError(f"Role table {table} has no [[row]].")
    for number, row in enumerate(rows, start=1):
        where = f"Role table {table}, row {number}"
        if not isinstance(row, dict):
            raise RoleTableError(f"{where} must be a table, got {type(row).__name__}.")
        if "pattern" in row:
            where = f"{where} ({row['pattern']})"
        _refuse_unknown(row, _REQUIRED | _OPTIONAL, where)
        missing = sorted(_REQUIRED - row.keys())
        if missing:
            raise RoleTableError(f"{where} lacks {', '.join(missing)}.")
        kinds = _words(row, "kind", where)
        yield Rule(
            table=table,
            pattern=_pattern(row, where),
            role=Role(_one_of(_text(row, "role", where), Role, "role", where)),
            source=_text(row, "source", where),
            kinds=frozenset(Kind(_one_of(kind, Kind, "kind", where)) for kind in kinds)
            or LINEAR_LIKE,
            parents=_words(row, "parent", where),
            classes=_words(row, "class", where),
            model_types=_words(row, "model_types", where),
            family=family,
            hazards=tuple(
                _one_of(code, HAZARDS, "hazard", where) for code in _words(row, "hazards", where)
            ),
        )


def _refuse_unknown(table: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(table.keys() - known)
    if unknown:
        raise RoleTableError(
            f"{where} has unknown key {', '.join(unknown)}.",
            f"Known keys: {', '.join(sorted(known))}.",
        )


def _refuse_duplicates(table: str, rules: tuple[Rule, ...]) -> None:
    seen: set[tuple[object, ...]] = set()
    for rule in rules:
        key = (rule.pattern, rule.kinds, rule.parents, rule.classes, rule.model_types)
        if key in seen:
            raise RoleTableError(f"Role table {table} has two rows for {rule.pattern}.")
        seen.add(key)


def _pattern(row: Mapping[str, Any], where: str) -> str:
    pattern = _text(row, "pattern", where)
    parts = pattern.split(".")
    if not all(parts):
        raise RoleTableError(f"{where}: the pattern has an empty part.")
    if any(part.isdigit() for part in parts[:-1]):
        raise RoleTableError(f"{where}: only the last part may be a number; elsewhere write #.")
    if has_wildcard(parts[-1]):
        raise RoleTableError(f"{where}: the last part of a pattern must be a plain name.")
    return pattern


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row[key]
    if not isinstance(value, str) or not value.strip():
        raise RoleTableError(f"{where}: {key} must be a text that is not empty, got {value!r}.")
    return value


def _words(row: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = row.get(key, [])
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
        raise RoleTableError(f"{where}: {key} must be a text or a list of texts, got {value!r}.")
    if key in row and not words:
        raise RoleTableError(f"{where}: {key} is an empty list; leave it out instead.")
    return tuple(words)


def _one_of(word: str, known: Any, what: str, where: str) -> str:
    if word not in [str(entry) for entry in known]:
        raise RoleTableError(
            f"{where}: unknown {what} {word!r}.", f"Known: {', '.join(map(str, known))}."
        )
    return word
