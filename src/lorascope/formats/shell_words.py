"""The words and operators of a shell script, as bash cuts them, each with where it stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from lorascope.core.errors import RecipeError
from lorascope.core.recipe import Spot

LARGEST_SCRIPT = 256 * 1024
"""Characters. A script that starts a training has some hundred."""
MOST_WORDS = 20_000
"""Words and operators of one script, and pieces of one word."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Text of a word as the command gets it, quotes and backslashes taken off."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A `$NAME` or `${...}` inside a word."""

    raw: str
    """As it stands in the script, which is kept if the variable is not known."""
    inner: str
    """What names it: `NAME`, or all that stands between the braces."""
    quoted: bool
    """Whether it stands in double quotes, so that its value is not cut at blanks."""


Piece = Literal | Variable


@dataclass(frozen=True, slots=True)
class Word:
    """One word before its variables are filled in; offsets include its quotes."""

    pieces: tuple[Piece, ...]
    start: int
    end: int
    is_plain: bool
    """Whether it has neither quotes nor backslashes nor dollar signs."""

    @property
    def first(self) -> str:
        """Text before the first variable: what decides whether it is an assignment."""
        head = self.pieces[0] if self.pieces else None
        return head.text if isinstance(head, Literal) else ""


@dataclass(frozen=True, slots=True)
class Operator:
    """What ends a command or redirects it; a newline is one."""

    text: str
    start: int
    end: int


Token = Word | Operator


class Script:
    """The text of a script, and what messages say about a place in it."""

    def __init__(self, text: str, where: str) -> None:
        """Take the text.

        Raises:
            RecipeError: It is longer than any script that starts a training.
        """
        if len(text) > LARGEST_SCRIPT:
            raise RecipeError(
                f"{where} has {len(text):,} characters; expected a shell script of at most "
                f"{LARGEST_SCRIPT:,}.",
                "Give only the command that starts the training.",
            )
        self.text = text
        self.where = where
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def spot(self, start: int, end: int) -> Spot:
        """Return the place of two offsets; line and column count from 1."""
        line = bisect_right(self._lines, start)
        return Spot(start, end, line, start - self._lines[line - 1] + 1)

    def error(self, offset: int, what: str, hint: str | None = None) -> RecipeError:
        """Return an error that says where; `what` completes its sentence."""
        spot = self.spot(offset, offset)
        return RecipeError(f"{self.where}, line {spot.line}, column {spot.column}: {what}", hint)


_OPERATOR = re.compile(r"&>>|&>|<<<|<<-|<<|>>|>\||>&|<&|<>|>|<|&&|\|\||;;|\|&|[;&|()\n]")
_PLAIN = re.compile(r"[^\s'\"\\$`|&;()<>]+")
_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]")
_CONTINUATION = re.compile(r"\\\r?\n")
_LINE = re.compile(r"[^\n]*\n?")
_ANSI_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b"}


def tokens_of(script: Script) -> list[Token]:
    """Cut a script into words and operators; comments and here-documents are left out.

    Raises:
        RecipeError: A quote, brace or parenthesis is never closed, or there are too many words; the
            message says where.
    """
    return _Scanner(script).tokens()


class _Scanner:
    """Reads from left to right, each character a bounded number of times."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._text = script.text
        self._at = 0
        self._found: list[Token] = []
        self._heredocs: list[tuple[str, bool]] = []
        self._retries = 8

    def tokens(self) -> list[Token]:
        text, size = self._text, len(self._text)
        while self._at < size:
            char = text[self._at]
            if char in " \t\r\v\f":
                self._at += 1
            elif char == "#":
                self._at = _end_of_line(text, self._at)
            elif match := _CONTINUATION.match(text, self._at):
                self._at = match.end()
            elif match := _OPERATOR.match(text, self._at):
                self._operator(match[0])
            else:
                self._found.append(self._word())
            self._check_count(len(self._found))
        return self._found

    def _check_count(self, count: int) -> None:
        if count > MOST_WORDS:
            raise self._script.error(
                self._at,
                f"the script has more than {MOST_WORDS:,} words and variables; expected fewer.",
                "Give only the command that starts the training.",
            )

    def _operator(self, text: str) -> None:
        start = self._at
        self._at += len(text)
        self._found.append(Operator(text, start, self._at))
        if text == "\n" and self._heredocs:
            self._skip_heredocs()
        if text in ("<<", "<<-"):
            self._expect_heredoc(indented=text == "<<-")

    def _expect_heredoc(self, *, indented: bool) -> None:
        blank = re.compile(r"[ \t]*").match(self._text, self._at)
        self._at = blank.end() if blank else self._at
        if self._at < len(self._text) and not _OPERATOR.match(self._text, self._at):
            word = self._word()
            self._found.append(word)
            ends = "".join(p.text if isinstance(p, Literal) else p.raw for p in word.pieces)
            self._heredocs.append((ends, indented))

    def _skip_heredocs(self) -> None:
        for ends, indented in self._heredocs:
            while self._at < len(self._text):
                match = _LINE.match(self._text, self._at)
                line = match[0] if match else ""
                self._at += len(line)
                line = line.rstrip("\r\n")
                if (line.lstrip("\t") if indented else line) == ends:
                    break
        self._heredocs.clear()

    def _word(self) -> Word:
        start, text, size = self._at, self._text, len(self._text)
        pieces: list[Piece] = []
        is_plain = True
        while self._at < size:
            if match := _PLAIN.match(text, self._at):
                pieces.append(Literal(match[0]))
                self._at = match.end()
                continue
            char = text[self._at]
            if char.isspace() or (char not in "'\"\\$`"):
                break
            is_plain = False
            self._special(char, pieces)
        return Word(_joined(pieces), start, self._at, is_plain)

    def _special(self, char: str, pieces: list[Piece]) -> None:
        """Read what begins with a quote, backslash, dollar sign or backtick."""
        if char == "'":
            pieces.append(Literal(self._single_quoted()))
        elif char == '"':
            self._double_quoted(pieces)
        elif char == "\\":
            pieces.append(Literal(self._escaped()))
        elif char == "`":
            pieces.append(Literal(self._backticks()))
        else:
            self._dollar(pieces, quoted=False)

    def _escaped(self) -> str:
        if match := _CONTINUATION.match(self._text, self._at):
            self._at = match.end()
            return ""
        self._at += 2
        return self._text[self._at - 1 : self._at]

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise self._unclosed(self._at, "'")
        text = self._text[self._at + 1 : end]
        self._at = end + 1
        return text

    def _double_quoted(self, pieces: list[Piece]) -> None:
        start, text, size = self._at, self._text, len(self._text)
        self._at += 1
        pieces.append(Literal(""))
        while self._at < size:
            if match := _IN_QUOTES.match(text, self._at):
                pieces.append(Literal(match[0]))
                self._at = match.end()
                continue
            char = text[self._at]
            if char == '"':
                self._at += 1
                return
            if char == "\\":
                pieces.append(Literal(self._escaped_in_quotes()))
            elif char == "`":
                pieces.append(Literal(self._backticks()))
            else:
                self._dollar(pieces, quoted=True)
        raise self._unclosed(start, '"')

    def _escaped_in_quotes(self) -> str:
        if match := _CONTINUATION.match(self._text, self._at):
            self._at = match.end()
            return ""
        following = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        return following if following in ("$", "`", '"', "\\") else f"\\{following}"

    def _backticks(self) -> str:
        start = self._at
        self._at += 1
        while self._at < len(self._text):
            char = self._text[self._at]
            self._at += 2 if char == "\\" else 1
            if char == "`":
                return self._text[start : self._at]
        raise self._unclosed(start, "`")

    def _dollar(self, pieces: list[Piece], *, quoted: bool) -> None:
        self._check_count(len(pieces))
        start, text = self._at, self._text
        following = text[start + 1 : start + 2]
        if following == "(":
            self._at = self._closing(start + 1, "(", ")")
            pieces.append(Literal(text[start : self._at]))
        elif following == "{":
            self._at = self._closing(start + 1, "{", "}")
            raw = text[start : self._at]
            pieces.append(Variable(raw, raw[2:-1], quoted))
        elif following == "'" and not quoted:
            self._at += 1
            pieces.append(Literal(self._ansi_quoted()))
        elif match := _NAME.match(text, start + 1):
            self._at = match.end()
            pieces.append(Variable(text[start : self._at], match[0], quoted))
        else:
            self._at += 1
            pieces.append(Literal("$"))

    def _ansi_quoted(self) -> str:
        start, text = self._at, self._text
        self._at += 1
        out: list[str] = []
        while self._at < len(text):
            char = text[self._at]
            self._at += 1
            if char == "'":
                return "".join(out)
            if char == "\\":
                char = text[self._at : self._at + 1]
                self._at += 1
                char = _ANSI_ESCAPES.get(char, char)
            out.append(char)
        raise self._unclosed(start, "'")

    def _closing(self, start: int, opening: str, closing: str) -> int:
        """Return the offset after the bracket that closes the one at `start`."""
        end = _closing(self._text, start, opening, closing, heed_quotes=opening == "(")
        if end is None and opening == "(" and self._retries:
            # An apostrophe of a comment or here-document inside of it is no quote.
            self._retries -= 1
            end = _closing(self._text, start, opening, closing, heed_quotes=False)
        if end is None:
            raise self._unclosed(start, opening)
        return end

    def _unclosed(self, offset: int, what: str) -> RecipeError:
        return self._script.error(
            offset,
            f"{what} is opened and never closed; expected its other end.",
            "Close it, or put a backslash before it.",
        )


_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


def _closing(text: str, start: int, opening: str, closing: str, *, heed_quotes: bool) -> int | None:
    """Return the offset after the bracket that closes the one at `start`; None if none does."""
    depth, at = 0, start
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif heed_quotes and char in "'\"":
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                return None
            at = quoted.end() - 1
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return None


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _joined(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Put neighbouring literals together."""
    out: list[Piece] = []
    run: list[str] = []
    for piece in pieces:
        if isinstance(piece, Literal):
            run.append(piece.text)
            continue
        if run:
            out.append(Literal("".join(run)))
            run = []
        out.append(piece)
    if run:
        out.append(Literal("".join(run)))
    return tuple(out)
