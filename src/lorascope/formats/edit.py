"""Change single values of a file, and leave its other lines, comments and order as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lorascope.core.errors import RecipeError, printable
from lorascope.core.recipe import Edit, Recipe, Tool
from lorascope.formats.comma import pieces
from lorascope.formats.edit_find import Found, value_at, with_value
from lorascope.formats.edit_lines import (
    AFTER_DASH,
    INDENTED,
    Change,
    Part,
    UnfixableError,
    between_brackets,
    changed,
    on_lines,
)
from lorascope.formats.edit_values import Places, places_after, places_towards
from lorascope.formats.edit_words import Quote, quote_of, word
from lorascope.formats.node import Node, Syntax
from lorascope.formats.recognize import parse, read_recipes, syntax_of
from lorascope.formats.shell_edit import edit_shell

_COLON = re.compile(r"[ \t]*:(?=[ \t]*(?:#[^\n]*)?\r?\n)")


def apply_edits(text: str, recipe: Recipe, edits: Sequence[Edit]) -> str:
    """Return the text with edits made.

    The result is read again: it states exactly what the edits say, and otherwise what the text
    stated, or it is not returned.

    Args:
        text: That the recipe was read from.
        recipe: As `read_recipes` returned it.
        edits: Under PEFT's field names. A list that loses its last entry becomes `[]`.

    Raises:
        RecipeError: The recipe does not state a field or entry, or the text is written in a way
            that is not changed automatically.
    """
    if not edits:
        return text
    syntax = syntax_of(text, recipe.origin)
    if syntax is Syntax.SHELL:
        return edit_shell(text, recipe, edits)
    return _Document(text, recipe, syntax).after(edits)


class _Document:
    def __init__(self, text: str, recipe: Recipe, syntax: Syntax) -> None:
        self._text = text
        self._recipe = recipe
        self._syntax = syntax
        self._root = parse(text, recipe.origin, syntax)[0]

    def after(self, edits: Sequence[Edit]) -> str:
        by_field: dict[str, list[Edit]] = {}
        for edit in edits:
            by_field.setdefault(edit.field, []).append(edit)
        changes: list[Change] = []
        expected = self._root.value
        for field, of_field in by_field.items():
            found = self._found(field)
            try:
                value, of_value = self._edited(found, of_field)
                changes += of_value
                expected = with_value(expected, found.path, value)
            except (UnfixableError, ValueError) as error:
                raise self._not_fixed(of_field[0], str(error)) from None
        try:
            result = changed(self._text, changes)
            self._check(result, expected)
        except UnfixableError as error:
            raise self._not_fixed(edits[0], str(error)) from None
        return result

    def _found(self, field: str) -> Found:
        spot = self._recipe.spots.get((field, None))
        found = None if spot is None else value_at(self._root, spot)
        if found is None:
            raise RecipeError(
                f"{self._recipe.origin} does not state {self._recipe.key(field)}; expected it to "
                "be there to be changed.",
                "Add it by hand.",
            )
        return found

    def _edited(self, found: Found, edits: Sequence[Edit]) -> tuple[Any, list[Change]]:
        """Return the new value of a field, and the changes that write it."""
        whole = [edit for edit in edits if edit.entry is None]
        if len(whole) > 1 or (whole and len(edits) > 1):
            raise UnfixableError("several edits of it contradict each other")
        node = found.node
        if isinstance(node.value, dict) and not whole:
            return self._pairs(found, edits)
        if isinstance(node.value, list) and (not whole or _is_list(whole[0].value)):
            return self._entries(found, edits, whole)
        if isinstance(node.value, str) and self._has_commas(edits):
            return self._pieces(found, edits, whole)
        return self._whole(found, edits[0])

    def _has_commas(self, edits: Sequence[Edit]) -> bool:
        """Whether a text is a list of names, and stays one."""
        stated = self._recipe.stated.get(edits[0].field)
        is_list = self._recipe.tool is Tool.LLAMAFACTORY or isinstance(stated, (tuple, list))
        return is_list and (edits[0].entry is not None or _is_list(edits[0].value))

    def _entries(
        self, found: Found, edits: Sequence[Edit], whole: Sequence[Edit]
    ) -> tuple[Any, list[Change]]:
        node = found.node
        old = list(node.value)
        if not old:
            return self._replaced(found, list(whole[0].value) if whole else self._absent(edits))
        new = places_towards(old, whole[0].value) if whole else self._places(old, edits)
        value = [each for values in new for each in values]
        if not value:
            return self._replaced(found, [])
        parts = [self._part(item) for item in node.items]
        return value, self._written(node, parts, new, AFTER_DASH)

    def _pairs(self, found: Found, edits: Sequence[Edit]) -> tuple[Any, list[Change]]:
        node = found.node
        old = list(node.fields)
        new = self._places(old, edits)
        value = {
            str(key): node.fields[name].value
            for name, keys in zip(old, new, strict=True)
            for key in keys
        }
        if not value:
            return self._replaced(found, {})
        parts = [self._pair(node, name) for name in old]
        return value, self._written(node, parts, new, INDENTED)

    def _written(
        self, node: Node, parts: Sequence[Part], places: Places, before: str
    ) -> list[Change]:
        if any(part.start < node.spot.start or part.end > node.spot.end for part in parts):
            raise UnfixableError("it repeats what stands elsewhere in the file")
        if _is_block(node, self._text):
            return on_lines(self._text, parts, places, before)
        return between_brackets(self._text, parts, places, self._syntax)

    def _pieces(
        self, found: Found, edits: Sequence[Edit], whole: Sequence[Edit]
    ) -> tuple[Any, list[Change]]:
        old = pieces(found.node.value)
        names = [piece.text for piece in old]
        new = places_towards(names, whole[0].value) if whole else self._places(names, edits)
        if not any(new):
            return self._replaced(found, [])
        between = found.node.value[old[0].end : old[1].start] if len(old) > 1 else ","
        names = [str(each) for values in new for each in values]
        value = between.join(names)
        if [piece.text for piece in pieces(value)] != names:
            raise UnfixableError("a name with a comma or blank does not fit between commas")
        return self._replaced(found, value)

    def _whole(self, found: Found, edit: Edit) -> tuple[Any, list[Change]]:
        value = edit.value
        if edit.entry is not None:
            if str(found.node.value) != edit.entry:
                raise ValueError(f"it has no entry {edit.entry!r}")
            value = value[0] if len(value) == 1 else value
        return self._replaced(found, _plain(value))

    def _replaced(self, found: Found, value: Any) -> tuple[Any, list[Change]]:
        """Write a value in place of a whole one."""
        spot = found.node.spot
        first = found.node.items[0].spot if found.node.items else spot
        new = word(value, self._syntax, quote_of(self._text[first.start : first.end]))
        if spot.start == spot.end:
            return value, [Change(spot.start, spot.end, f" {new}")]
        if _is_block(found.node, self._text):
            return value, self._instead_of_block(found, new)
        return value, [Change(spot.start, spot.end, new)]

    def _instead_of_block(self, found: Found, new: str) -> list[Change]:
        """Write a value behind its key, and remove the lines that stood below."""
        colon = None if found.key is None else _COLON.match(self._text, found.key.end)
        if colon is None:
            raise UnfixableError("its entries do not stand on lines below its key")
        node = found.node
        parts = [self._part(item) for item in node.items]
        before = AFTER_DASH
        if node.fields:
            parts, before = [self._pair(node, name) for name in node.fields], INDENTED
        removed = on_lines(self._text, parts, [()] * len(parts), before)
        return [Change(colon.end(), colon.end(), f" {new}"), *removed]

    def _part(self, item: Node) -> Part:
        written = self._text[item.spot.start : item.spot.end]

        def write(value: Any) -> str:
            return written if value == item.value else self._entry(value, quote_of(written))

        return Part(item.spot.start, item.spot.end, item.value, write)

    def _pair(self, mapping: Node, name: str) -> Part:
        key, node = mapping.keys[name], mapping.fields[name]
        written, rest = self._text[key.start : key.end], self._text[key.end : node.spot.end]

        def write(value: Any) -> str:
            return written + rest if value == name else self._entry(value, quote_of(written)) + rest

        return Part(key.start, node.spot.end, name, write)

    def _entry(self, value: Any, quote: Quote) -> str:
        has_comma = isinstance(value, str) and "," in value
        return word(value, self._syntax, quote or (Quote.SINGLE if has_comma else Quote.NONE))

    def _places(self, old: Sequence[Any], edits: Sequence[Edit]) -> Places:
        try:
            return places_after(old, edits)
        except ValueError as error:
            raise ValueError(f"it has no entry {error.args[0]!r}") from None

    def _absent(self, edits: Sequence[Edit]) -> Any:
        raise ValueError(f"it has no entry {edits[0].entry!r}")

    def _check(self, result: str, expected: Any) -> None:
        """Read the result again.

        Raises:
            UnfixableError: It states something else than was meant.
        """
        origin = self._recipe.origin
        try:
            value = parse(result, origin, self._syntax)[0].value
            read_recipes(result, origin, self._recipe.tool)
        except RecipeError:
            raise UnfixableError("the file could not be read afterwards") from None
        if repr(value) != repr(expected):
            raise UnfixableError("the file would state something else afterwards")

    def _not_fixed(self, edit: Edit, why: str) -> RecipeError:
        key = self._recipe.key(edit.field)
        spot = self._recipe.spot(edit.field, edit.entry)
        line = "" if spot is None else f", line {spot.line}"
        return RecipeError(
            f"{self._recipe.origin}{line}: {key} could not be fixed automatically: {why}.",
            f"Write {printable(repr(_plain(edit.value)))} there by hand.",
        )


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_block(node: Node, text: str) -> bool:
    """Whether a list or mapping is written on lines, not in brackets or as an alias."""
    if not isinstance(node.value, (list, dict)):
        return False
    return not re.match(r"(?:[&!]\S*\s+)*[\[{*]", text[node.spot.start : node.spot.end])


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if _is_list(value) else value
