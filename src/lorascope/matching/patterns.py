"""Which key of `rank_pattern` or `alpha_pattern` decides for which target."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from lorascope.matching.bounded_regex import BoundedRegex, Pattern

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
    pending = list(names)
    for key in keys:
        if not pending:
            break
        for name in names_of_key(pending, key, where, regex):
            decided[name] = key
        pending = [name for name in pending if name not in decided]
    return decided


def names_of_key(
    names: Sequence[str], key: str, where: str, regex: BoundedRegex
) -> Mapping[str, str | None]:
    """Return the names that one key matches, whatever other keys say."""
    candidates = names
    if _PLAIN_KEY.fullmatch(key):
        # A plain key matches only names that end with its last part; the rest need no regex.
        last = key.rpartition(".")[2]
        candidates = [name for name in names if name.endswith((last, "\n"))]
    return regex.matching(Pattern(key, where, before=r"(.*\.)?(", after=r")$"), candidates)
