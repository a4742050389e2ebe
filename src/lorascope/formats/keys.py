"""The keys of a tool's LoRA part, and a recipe read by them, each value's place kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lorascope.core.errors import RecipeError, printable
from lorascope.core.recipe import Recipe, Spot, Tool
from lorascope.formats.forms import TEXT, Form
from lorascope.formats.node import Node


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a tool."""

    name: str
    form: Form
    field: str | None = None
    """PEFT's field that it says; None for a setting that is the tool's own."""


@dataclass(slots=True)
class Reading:
    """What was read: attributes of a `Recipe`, under the same names."""

    stated: dict[str, Any] = field(default_factory=dict)
    key_of: dict[str, str] = field(default_factory=dict)
    spots: dict[tuple[str, str | None], Spot] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    unknown: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def place(self, peft_field: str, said: str, node: Node) -> None:
        """Note what says a field and where; a later key takes the place over."""
        self.key_of[peft_field] = said
        self.spots = {place: spot for place, spot in self.spots.items() if place[0] != peft_field}
        self.spots |= _spots_of(peft_field, node)

    def add_unknown(self, mapping: Node, unknown: Mapping[str, tuple[str, ...]]) -> None:
        """Note unknown keys of a mapping, and where they stand."""
        self.unknown |= unknown
        self.spots |= {("", key): mapping.keys[key] for key in unknown}

    def add(self, other: Reading) -> None:
        """Take over what another part of the same text says."""
        self.stated |= other.stated
        self.key_of |= other.key_of
        self.spots |= other.spots
        self.options |= other.options
        self.unknown |= other.unknown

    def recipe(
        self, tool: Tool, origin: str, base_model: str | None, revision: str | None = None
    ) -> Recipe:
        """Return the recipe that all this makes."""
        return Recipe(
            tool,
            origin,
            self.stated,
            base_model=base_model,
            revision=revision,
            key_of=self.key_of,
            spots=self.spots,
            options=self.options,
            unknown=self.unknown,
        )


def read_keys(mapping: Node, keys: Iterable[Key], where: str, *, section: str = "") -> Reading:
    """Read the keys that a mapping has; one whose value is null states nothing.

    Args:
        mapping: A command, or a mapping of a file.
        keys: What to read, in the order in which a later one wins over an earlier one.
        where: What messages call the text.
        section: What messages put before a key, for example `model.`.

    Raises:
        RecipeError: A value has a type that the tool does not take.
    """
    reading = Reading()
    for key in keys:
        node = mapping.fields.get(key.name)
        if node is None:
            continue
        said = f"--{key.name}" if mapping.is_command else f"{section}{key.name}"
        is_null = node.value is None
        if key.field is not None and not (is_null and key.field in reading.key_of):
            reading.place(key.field, said, node)
        if is_null:
            continue
        value = _value(node, said, key.form, where, in_command=mapping.is_command)
        if key.field is None:
            reading.options[key.name] = value
            reading.spots["", key.name] = mapping.keys.get(key.name, node.spot)
        else:
            reading.stated[key.field] = value
    return reading


def names_of(keys: Iterable[Key]) -> dict[str, str]:
    """Return PEFT's field → the first key that says it."""
    names: dict[str, str] = {}
    for key in keys:
        if key.field is not None:
            names.setdefault(key.field, key.name)
    return names


def text_of(mapping: Node, *names: str, where: str) -> str | None:
    """Return the text under the first of some keys that is there.

    None if there is none, if it is empty, or if a command has it from an unknown variable.

    Raises:
        RecipeError: It is something else than text.
    """
    for name in names:
        node = mapping.fields.get(name)
        if node is None or node.value is None:
            continue
        said = f"--{name}" if mapping.is_command else name
        text = str(_value(node, said, TEXT, where, in_command=mapping.is_command))
        is_left = mapping.is_command and any(mark in text for mark in "$`")
        return None if is_left else text or None
    return None


def _value(node: Node, said: str, form: Form, where: str, *, in_command: bool) -> Any:
    """Return a value in the type that the tool takes.

    Raises:
        RecipeError: It has another; the message names file, line, key, value and type.
    """
    read = form.in_command if in_command and form.in_command is not None else form.read
    try:
        return read(node.value)
    except ValueError:
        unfilled = isinstance(node.value, str) and "$" in node.value
        raise RecipeError(
            f"{where}, line {node.spot.line}: {said} is {printable(repr(node.value))}; "
            f"expected {form.words}.",
            "Write the value itself in place of the variable." if unfilled else None,
        ) from None


def _spots_of(peft_field: str, node: Node) -> dict[tuple[str, str | None], Spot]:
    """Return where a value stands, and each entry of a list or key of a mapping in it.

    An entry that stands there twice has its first place.
    """
    spots: dict[tuple[str, str | None], Spot] = {}
    for item in node.items:
        spots.setdefault((peft_field, str(item.value)), item.spot)
    spots |= {(peft_field, name): spot for name, spot in node.keys.items()}
    spots[peft_field, None] = node.spot
    return spots
