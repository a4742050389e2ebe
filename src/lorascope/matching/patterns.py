"""Which key of `rank_pattern` or `alpha_pattern` decides for which target."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence

from lorascope.matching.bounded_regex import BoundedRegex, Pattern
from lorascope.matching.names import Endings

_PLAIN_KEY = re.compile(r"[\w.-]+")


def deciding_keys(
    names: Sequence[str], keys: Iterable[str], where: str, regex: BoundedRegex
) -> dict[str, str]:
    r"""Return the first key, in the order of the pattern, that matches each name.

    A key matches like `re.match(r"(.*\.)?(key)$", name)`. Names that no key matches are left
    out. A key that no name reaches is not even compiled, so an invalid one goes unnoticed there,
    as in PEFT. Source: peft 0.21.2, `get_pattern_key` in `utils/other.py`.

    Raises:
        SpecificationError: A key is no regular expression, or takes too long.
    """
    decided: dict[str, str] = {}
    known = KeyedNames(names)
    for key in keys:
        if len(decided) == len(known.names):
            break
        for name in known.matching(key, where, regex, without=decided):
            decided[name] = key
    return decided


class KeyedNames:
    """Names of targets, of which many keys ask which ones they match."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(dict.fromkeys(names))
        self._endings: Endings | None = None
        self._has_line_ends = any("\n" in name for name in self.names)

    def matching(
        self, key: str, where: str, regex: BoundedRegex, *, without: Container[str] = ()
    ) -> list[str]:
        """Return the names that one key matches, in order, whatever other keys say.

        Args:
            key: A regular expression for the end of a name.
            where: For messages: `rank_pattern` or `alpha_pattern`.
            regex: Matches it.
            without: Names that are not asked about.

        Raises:
            SpecificationError: The key is no regular expression, or takes too long.
        """
        if self._has_line_ends or not _PLAIN_KEY.fullmatch(key):
            left = [name for name in self.names if name not in without] if without else self.names
            return list(regex.matching(Pattern(key, where, r"(.*\.)?(", r")$"), left))
        if self._endings is None:
            self._endings = Endings(self.names)
        # The dots of a plain key are any characters, what stands before it is a dot or nothing.
        hits = self._endings.like(key)
        return [n for n in hits if n not in without and n[: -len(key)][-1:] in ("", ".")]
