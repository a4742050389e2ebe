"""An upper bound on how long a regular expression can backtrack, read off its text."""

from __future__ import annotations

import re
from math import inf

_COUNTED_REPEAT = re.compile(r"\{\d*,?\d*\}")
_PLAIN_GROUP = re.compile(r"\((?:\?:|\?P<\w+>)?(?!\?)")
_CHARACTER_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)


def backtracking_bound(regex: str, name_length: int) -> float:
    r"""Return a bound on the ways in which `regex` can be tried at the start of one name.

    Each repeat of one character can end at any of `name_length` + 1 places, each optional part
    is there or not, each group takes one of its alternatives: the bound is the product. A repeat
    of a group, a back-reference, and any group that is not plain (look-around, flags, conditions)
    give infinity, which means: not known to be quick. The bound is far above the truth for
    common patterns; it only has to tell harmless from possibly harmful.

    Args:
        regex: The pattern, valid or not.
        name_length: Length of the longest name it will be matched against, in characters.
    """
    bound = 1.0
    alternatives = [1]
    after_group = False
    at = 0
    while at < len(regex):
        character = regex[at]
        step = 1
        quantified_group, after_group = after_group, False
        if character == "\\":
            if regex[at + 1 : at + 2] in "123456789" and at + 1 < len(regex):
                return inf
            step = 2
        elif character == "[":
            matched = _CHARACTER_CLASS.match(regex, at)
            if matched is None:
                return inf
            step = matched.end() - at
        elif character == "(":
            opened = _PLAIN_GROUP.match(regex, at)
            if opened is None:
                return inf
            step = opened.end() - at
            alternatives.append(1)
        elif character == ")":
            bound *= alternatives.pop() if len(alternatives) > 1 else 1
            after_group = True
        elif character == "|":
            alternatives[-1] += 1
        elif character == "?":
            bound *= 2
        elif character in "*+" or (character == "{" and _COUNTED_REPEAT.match(regex, at)):
            if quantified_group:
                return inf
            bound *= name_length + 1
        at += step
    return bound * alternatives[0]
