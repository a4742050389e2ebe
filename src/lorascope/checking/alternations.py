"""The alternations of a regular expression, read off its text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_CHARACTER_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_BACKWARDS = re.compile(r"\\[1-9]|\(\?P=|\(\?\(|\(\?[a-z]*x")
"""References to groups, whose numbers change when one is cut, and the verbose form."""
_PLAIN_GROUP = re.compile(r"\((?:\?:|\?P<\w+>)?(?!\?)")
LONGEST = 20_000
"""Characters of a pattern that is still read."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of an alternation."""

    start: int
    """Offset of its first character in the pattern."""
    end: int
    """Offset after its last character."""
    text: str


@dataclass(frozen=True, slots=True)
class Alternation:
    """One group, or the whole pattern, with its branches."""

    branches: tuple[Branch, ...]
    """At least two, in their order."""

    @property
    def start(self) -> int:
        """Offset of the first branch in the pattern."""
        return self.branches[0].start

    @property
    def end(self) -> int:
        """Offset after the last branch."""
        return self.branches[-1].end

    def holding(self, start: int, end: int) -> Branch | None:
        """Return the branch that a part of the pattern lies in; None if it lies in none."""
        return next((b for b in self.branches if b.start <= start and end <= b.end), None)


@dataclass(slots=True)
class _Open:
    """A group whose end is not reached yet."""

    start: int
    is_plain: bool
    bars: list[int] = field(default_factory=list)

    def closed(self, pattern: str, end: int) -> Alternation:
        starts = [self.start, *(bar + 1 for bar in self.bars)]
        ends = [*self.bars, end]
        spans = zip(starts, ends, strict=True)
        return Alternation(tuple(Branch(s, e, pattern[s:e]) for s, e in spans))


def only(pattern: str, branch: Branch, of: Alternation, known: Iterable[Alternation]) -> str:
    """Return the pattern with this branch alone of its alternation, and of all around it.

    Args:
        pattern: The whole pattern.
        branch: What is kept.
        of: The alternation that the branch belongs to.
        known: All alternations of the pattern.
    """
    cuts = [(of.start, branch.start), (branch.end, of.end)]
    for around in known:
        holding = around.holding(of.start, of.end) if around is not of else None
        if holding is not None:
            cuts += [(around.start, holding.start), (holding.end, around.end)]
    kept, at = [], 0
    for start, end in sorted(cuts):
        kept.append(pattern[at:start])
        at = end
    return "".join([*kept, pattern[at:]])


def alternations(pattern: str) -> tuple[Alternation, ...]:
    """Return all alternations, the outer ones first; those inside look-arounds are left out.

    Empty if the text is too long or no regular expression whose groups can be told: what is not
    understood is not spoken of.
    """
    if len(pattern) > LONGEST or _BACKWARDS.search(pattern):
        return ()
    open_groups = [_Open(0, is_plain=True)]
    found: list[Alternation] = []
    at = 0
    while at < len(pattern):
        character, step = pattern[at], 1
        if character == "\\":
            step = 2
        elif character == "[":
            matched = _CHARACTER_CLASS.match(pattern, at)
            if matched is None:
                return ()
            step = matched.end() - at
        elif character == "(":
            step = _enter(pattern, at, open_groups)
        elif character == "|":
            open_groups[-1].bars.append(at)
        elif character == ")":
            if len(open_groups) == 1:
                return ()
            _leave(pattern, at, open_groups.pop(), found)
        at += step
    if len(open_groups) > 1:
        return ()
    _leave(pattern, len(pattern), open_groups.pop(), found)
    return tuple(sorted(found, key=lambda each: (each.start, -each.end)))


def _enter(pattern: str, at: int, open_groups: list[_Open]) -> int:
    """Open the group that begins at `at`; return the length of its opening."""
    opened = _PLAIN_GROUP.match(pattern, at)
    step = 1 if opened is None else opened.end() - at
    is_plain = opened is not None and open_groups[-1].is_plain
    open_groups.append(_Open(at + step, is_plain))
    return step


def _leave(pattern: str, end: int, group: _Open, found: list[Alternation]) -> None:
    if group.is_plain and group.bars:
        found.append(group.closed(pattern, end))
