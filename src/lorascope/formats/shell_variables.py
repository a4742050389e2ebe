"""The variables that a shell script assigns, and words with them filled in. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lorascope.core.errors import RecipeError
from lorascope.formats.shell_words import Literal, Script, Variable, Word, tokens_of

_LARGEST_EXPANSION = 1024 * 1024
"""Characters that all variables of one script may be filled in with, together."""
_DEEPEST_DEFAULT = 4
"""Levels of `${A:-${B:-…}}` that are read."""

ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WITH_DEFAULT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?[-=])(.*)", re.DOTALL)
_WHOLE_ARRAY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\[[@*]\]")


@dataclass(frozen=True, slots=True)
class Filled:
    """One word as the command gets it, and where it stands (or the variable that it is from)."""

    value: str
    start: int
    end: int


class Variables:
    """What the script has assigned so far, in the order of its text."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._texts: dict[str, str] = {}
        self._arrays: dict[str, tuple[Filled, ...]] = {}
        self._filled_in = 0

    def assign(self, word: Word) -> None:
        """Take a `NAME=value` or `NAME+=value`; its value is one text, whatever blanks it has."""
        match = ASSIGNMENT.match(word.first)
        if match is None:
            return
        value = self._text(word, 0)[match.end() :]
        name = match[1]
        before = self._texts.get(name, "") if match[2] else ""
        self._count(len(before), word.start)
        self._texts[name] = before + value
        self._arrays.pop(name, None)

    def assign_array(self, word: Word, elements: Sequence[Word]) -> None:
        """Take a `NAME=(…)` or `NAME+=(…)`."""
        match = ASSIGNMENT.match(word.first)
        if match is None:
            return
        name = match[1]
        before = self._arrays.get(name, ()) if match[2] else ()
        self._count(len(before), word.start)
        self._arrays[name] = before + tuple(self.filled(elements))
        self._texts.pop(name, None)

    def filled(self, words: Sequence[Word]) -> list[Filled]:
        """Fill in the variables of some words.

        What is not assigned in the script, and what only running it could tell, stays as it is
        written.

        Raises:
            RecipeError: The variables grow without measure.
        """
        return [each for word in words for each in self._words(word)]

    def _words(self, word: Word) -> list[Filled]:
        if word.is_plain:
            return [Filled(word.first, word.start, word.end)]
        array = self._array(word)
        if array is not None:
            self._count(sum(len(each.value) + 1 for each in array), word.start)
            return list(array)
        cutter = _Cutter()
        for piece in word.pieces:
            if isinstance(piece, Literal):
                cutter.add(piece.text)
                continue
            value, is_known = self._value(piece, word.start, 0)
            if piece.quoted or not is_known or not _is_cut(value):
                cutter.add(value, even_empty=piece.quoted)
            else:
                cutter.add_cut(value)
        return [Filled(value, word.start, word.end) for value in cutter.words()]

    def _array(self, word: Word) -> tuple[Filled, ...] | None:
        """Return the elements if the word is nothing but `"${NAME[@]}"`, whose words stand on."""
        parts = [p for p in word.pieces if not (isinstance(p, Literal) and not p.text)]
        if len(parts) != 1 or not isinstance(parts[0], Variable):
            return None
        match = _WHOLE_ARRAY.fullmatch(parts[0].inner)
        return self._arrays.get(match[1]) if match else None

    def _text(self, word: Word, depth: int) -> str:
        return "".join(
            piece.text if isinstance(piece, Literal) else self._value(piece, word.start, depth)[0]
            for piece in word.pieces
        )

    def _value(self, piece: Variable, offset: int, depth: int) -> tuple[str, bool]:
        """Return what stands for a variable, and whether that is its value."""
        value = self._known(piece.inner, depth)
        if value is None:
            return piece.raw, False
        self._count(len(value), offset)
        return value, True

    def _known(self, inner: str, depth: int) -> str | None:
        if _NAME.fullmatch(inner):
            return self._texts.get(inner)
        match = _WITH_DEFAULT.fullmatch(inner)
        if match is None or depth >= _DEEPEST_DEFAULT:
            return None
        known = self._texts.get(match[1])
        is_default = known is None or (not known and match[2].startswith(":"))
        return self._default(match[3], depth + 1) if is_default else known

    def _default(self, text: str, depth: int) -> str:
        try:
            words = tokens_of(Script(text, self._script.where))
        except RecipeError:  # half a quote: nothing that is ever a default
            return text
        return " ".join(self._text(w, depth) for w in words if isinstance(w, Word))

    def _count(self, characters: int, offset: int) -> None:
        self._filled_in += characters
        if self._filled_in > _LARGEST_EXPANSION:
            raise self._script.error(
                offset,
                f"the variables of this script grow beyond {_LARGEST_EXPANSION:,} characters.",
                "Give only the command that starts the training.",
            )


def _is_cut(value: str) -> bool:
    """Whether the shell would cut it at blanks: not what only running it could tell."""
    return "$(" not in value and "`" not in value


class _Cutter:
    """Puts the pieces of one word together, which unquoted values cut into several."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._open: list[str] | None = None

    def add(self, text: str, *, even_empty: bool = True) -> None:
        """Add text that is not cut."""
        if text or even_empty:
            self._open = [] if self._open is None else self._open
            self._open.append(text)

    def add_cut(self, value: str) -> None:
        """Add text that ends a word at each of its blanks."""
        parts = value.split()
        if value[:1].isspace():
            self._close()
        for index, part in enumerate(parts):
            if index:
                self._close()
            self.add(part)
        if parts and value[-1].isspace():
            self._close()

    def words(self) -> list[str]:
        self._close()
        return self._words

    def _close(self) -> None:
        if self._open is not None:
            self._words.append("".join(self._open))
            self._open = None
