"""Change words of a shell script in place."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorascope.core.errors import RecipeError
from lorascope.core.recipe import Edit, Recipe, Tool
from lorascope.formats import ms_swift, trl
from lorascope.formats.dialect import Dialect
from lorascope.formats.keys import Key
from lorascope.formats.node import Node
from lorascope.formats.shell_document import parse_shell
from lorascope.formats.shell_words import Literal, Script, Word, tokens_of

_DIALECTS: Mapping[Tool, tuple[Dialect, tuple[Key, ...]]] = {
    Tool.TRL: (trl.DIALECT, trl.KEYS),
    Tool.MS_SWIFT: (ms_swift.DIALECT, ms_swift.KEYS),
}
_LISTS = frozenset({"target_modules", "target_parameters", "modules_to_save"})
_BLANKS_BEFORE = re.compile(r"(?:[ \t]|\\\r?\n)+\Z")
_LONGEST_BLANKS = 1000
_PLAIN_NAME = re.compile(r"[\w.]+")
_ALL_LINEAR = "all-linear"
_BY_HAND = "Change the script by hand."


@dataclass(frozen=True, slots=True)
class _Change:
    """Characters `start` to `end` of the text become `new`."""

    start: int
    end: int
    new: str


def edit_shell(text: str, recipe: Recipe, edits: Sequence[Edit]) -> str:
    """Apply edits to the command that a recipe was read from; all else stays as it is.

    An option that the command does not have is added at its end; one without any value left is
    taken out. The result is read again, and must say what the edits ask for.

    Args:
        text: What the recipe was read from.
        recipe: Of one command of it.
        edits: Under PEFT's field names.

    Raises:
        RecipeError: A word comes from a variable, the command cannot say what is asked, or is no
            longer there; the message says where.
    """
    editor = _Editor(text, recipe)
    fields = dict.fromkeys(edit.field for edit in edits)
    wanted = {field: _wanted(recipe, field, edits) for field in fields}
    changes = [
        change
        for field in fields
        for change in editor.changes(field, [e for e in edits if e.field == field])
    ]
    result = _applied(text, changes)
    editor.check(result, wanted)
    return result


def _wanted(recipe: Recipe, peft_field: str, edits: Sequence[Edit]) -> Any:
    """Return what a field is to say after its edits; None for nothing."""
    value = recipe.stated.get(peft_field)
    instead: dict[str, Any] = {}
    for edit in edits:
        if edit.field == peft_field and edit.entry is None:
            value = _in_words(peft_field, edit.value)
        elif edit.field == peft_field and edit.entry is not None:
            instead[edit.entry] = edit.value
    value = _replaced(value, instead) if instead else value
    if peft_field in _LISTS and not _are_names(value):
        raise RecipeError(
            f"{recipe.origin}: {recipe.key(peft_field)} would be {value!r}; expected names.",
            _BY_HAND,
        )
    return value if value != () else None


def _are_names(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(each, str) for each in value)
    return value is None or isinstance(value, str)


def _replaced(value: Any, instead: Mapping[str, Any]) -> Any:
    """Return a value with entries replaced: each by several, or by none."""
    if isinstance(value, str):
        return instead.get(value, value)
    if isinstance(value, (tuple, list)):
        return tuple(new for old in value for new in instead.get(str(old), (old,)))
    return () if value is None else value


def _in_words(peft_field: str, value: Any) -> Any:
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(sorted(value) if isinstance(value, (set, frozenset)) else value)
    return (value,) if isinstance(value, str) and peft_field in _LISTS else value


class _Editor:
    """One command of a script, and how its options are written."""

    def __init__(self, text: str, recipe: Recipe) -> None:
        if recipe.tool not in _DIALECTS:
            raise RecipeError(
                f"{recipe.origin}: commands of {recipe.tool} are not changed automatically.",
                _BY_HAND,
            )
        self._dialect, self._keys = _DIALECTS[recipe.tool]
        self._script = Script(text, recipe.origin)
        self._recipe = recipe
        self._nodes = parse_shell(text, recipe.origin)
        self._index = self._command()
        self._node = self._nodes[self._index]

    def _command(self) -> int:
        """Return which command of the script the recipe is of."""
        spots = {(s.start, s.end) for (f, _), s in self._recipe.spots.items() if f}
        for index, node in enumerate(self._nodes):
            places = {
                (each.spot.start, each.spot.end)
                for value in node.fields.values()
                for each in (value, *value.items)
            }
            if spots <= places and (spots or len(self._nodes) == 1):
                return index
        raise RecipeError(
            f"{self._recipe.origin}: the command that was read is not in this text.",
            "Read the script again before it is changed.",
        )

    def changes(self, peft_field: str, edits: Sequence[Edit]) -> list[_Change]:
        """Return the changes of the text that the edits of one field need."""
        name = self._recipe.key_of.get(peft_field, "").removeprefix("--")
        node = self._node.fields.get(name) if name else None
        whole = [edit for edit in edits if edit.entry is None]
        if node is None:
            return self._added(peft_field, edits)
        if whole:
            return self._whole(peft_field, name, node, whole[-1].value)
        return self._entries(name, node, edits)

    def _added(self, peft_field: str, edits: Sequence[Edit]) -> list[_Change]:
        value = edits[-1].value
        if edits[-1].entry is not None:
            raise RecipeError(
                f"{self._recipe.origin}, line {self._node.spot.line}: the command has no "
                f"{peft_field}; expected it to hold {edits[-1].entry!r}."
            )
        if value is None or value == ():
            return []
        words = " ".join([f"--{self._name(peft_field, value)}", *_quoted(_words(value), "")])
        end = self._node.spot.end
        return [_Change(end, end, f" {words}")]

    def _name(self, peft_field: str, value: Any) -> str:
        """Return the option for a field; ms-swift has one for lists and one for patterns."""
        names = [key.name for key in self._keys if key.field == peft_field]
        if not names:
            raise RecipeError(
                f"{self._recipe.origin}: {self._recipe.tool} has no option for {peft_field}.",
                _BY_HAND,
            )
        is_pattern = isinstance(value, str) and value != _ALL_LINEAR
        return names[-1] if is_pattern else names[0]

    def _whole(self, peft_field: str, name: str, node: Node, value: Any) -> list[_Change]:
        key = self._node.keys[name]
        if value is None or value in ((), []) or (value is False and node.value is True):
            return [self._removal(key.start, node.spot.end)]
        new_name = self._name(peft_field, value)
        renamed = [] if new_name == name else [_Change(key.start, key.end, f"--{new_name}")]
        words = _words(value)
        if node.value is True:  # the option stands alone
            return [] if value is True else [_Change(key.end, key.end, " " + " ".join(words))]
        start, end = node.spot.start, node.spot.end
        self._check_literal(node)
        quote = _quote_of(self._script.text[start:end])
        return [*renamed, *self._replaced(start, end, _quoted(words, quote))]

    def _entries(self, name: str, node: Node, edits: Sequence[Edit]) -> list[_Change]:
        items = node.items or (node,)
        new_of = {edit.entry: _words(edit.value) for edit in edits}
        if all(new_of.get(item.value) == [] for item in items):
            for item in items:
                self._check_literal(item)
            return [self._removal(self._node.keys[name].start, node.spot.end)]
        changes: list[_Change] = []
        for item in items:
            words = new_of.get(item.value)
            if words is None:
                continue
            self._check_literal(item)
            start, end = item.spot.start, item.spot.end
            if words:
                quote = _quote_of(self._script.text[start:end])
                changes += self._replaced(start, end, _quoted(words, quote))
            else:
                changes.append(self._removal(start, end))
        return changes

    def _replaced(self, start: int, end: int, words: Sequence[str]) -> list[_Change]:
        """Replace a value; `--name=value` takes only one word, so that it loses its sign."""
        has_equals = start > 0 and self._script.text[start - 1] == "="
        if has_equals and len(words) != 1:
            return [_Change(start - 1, end, " " + " ".join(words))]
        return [_Change(start, end, " ".join(words))]

    def _removal(self, start: int, end: int) -> _Change:
        """Take words out, with the blanks and line ends before them."""
        before = self._script.text[max(0, start - _LONGEST_BLANKS) : start]
        match = _BLANKS_BEFORE.search(before)
        return _Change(start - (len(match[0]) if match else 0), end, "")

    def _check_literal(self, node: Node) -> None:
        """Make sure that a value stands in the text as it is, not in a variable.

        Raises:
            RecipeError: It does not; the message says where.
        """
        raw = self._script.text[node.spot.start : node.spot.end]
        values = [str(item.value) for item in node.items] or [str(node.value)]
        if _plain_words(raw) != values:
            raise RecipeError(
                f"{self._recipe.origin}, line {node.spot.line}, column {node.spot.column}: "
                f"{raw!r} stands for {' '.join(values)!r} by a variable; expected the words "
                "themselves.",
                "Change the variable by hand.",
            )

    def check(self, result: str, wanted: Mapping[str, Any]) -> None:
        """Read the result, and compare it with what the edits ask for.

        Raises:
            RecipeError: It says something else.
        """
        self._check_single(wanted)
        nodes = parse_shell(result, self._recipe.origin)
        if len(nodes) == len(self._nodes):
            others = [n.value for i, n in enumerate(nodes) if i != self._index]
            before = [n.value for i, n in enumerate(self._nodes) if i != self._index]
            again = self._dialect.read(nodes[self._index], self._recipe.origin)
            expected = {**self._recipe.stated, **wanted}
            if others == before and _is_same(again.stated, expected):
                return
        raise RecipeError(
            f"{self._recipe.origin}, line {self._node.spot.line}: the changed command would not "
            f"say what was asked for {', '.join(wanted)}.",
            _BY_HAND,
        )

    def _check_single(self, wanted: Mapping[str, Any]) -> None:
        """Refuse a list of one plain name where TRL makes a regular expression of it."""
        targets = wanted.get("target_modules")
        if self._recipe.tool is not Tool.TRL or not targets or len(targets) != 1:
            return
        if targets[0] != _ALL_LINEAR and _PLAIN_NAME.fullmatch(targets[0]):
            raise RecipeError(
                f"{self._recipe.origin}, line {self._node.spot.line}: only {targets[0]!r} would be "
                "left, which TRL hands to PEFT as a regular expression; expected several names.",
                rf"Write '.*\.{targets[0]}'.",
            )


def _is_same(stated: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    fields = stated.keys() | expected.keys()
    return all(
        _in_words(name, stated.get(name)) == _in_words(name, expected.get(name))
        or (not stated.get(name) and expected.get(name) in (None, False))
        for name in fields
    )


def _plain_words(raw: str) -> list[str]:
    """Return the words of a piece of a script; none if it has anything but plain words."""
    try:
        tokens = tokens_of(Script(raw, ""))
    except RecipeError:
        return []
    words: list[str] = []
    for token in tokens:
        if not isinstance(token, Word) or not all(isinstance(p, Literal) for p in token.pieces):
            return []
        words.append(token.first)
    return words


def _words(value: Any) -> list[str]:
    """Return a value as the words of an option."""
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, (list, tuple)):
        return [str(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    return [str(value)]


def _quote_of(raw: str) -> str:
    return raw[:1] if raw[:1] in ("'", '"') else ""


def _quoted(words: Sequence[str], quote: str) -> list[str]:
    """Put words into the quotes that stood there, or into those that they need."""
    return [_in_quotes(word, quote) for word in words]


def _in_quotes(word: str, quote: str) -> str:
    unfit = set(word) & ({"'"} if quote == "'" else set('"$`\\!'))
    return f"{quote}{word}{quote}" if quote and not unfit else shlex.quote(word)


def _applied(text: str, changes: Sequence[_Change]) -> str:
    ordered = sorted(changes, key=lambda change: (change.start, change.end))
    out: list[str] = []
    at = 0
    for change in ordered:
        out += [text[at : change.start], change.new]
        at = max(at, change.end)
    return "".join([*out, text[at:]])
