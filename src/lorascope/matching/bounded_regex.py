"""Python's `re` on patterns that nobody vouches for: the same answers, in bounded time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.matching.pattern_cost import backtracking_bound

_IN_PROCESS_STEPS = 1e8
"""Bound on backtracking steps up to which a pattern runs here; about half a second at the worst."""

_LONGEST_IN_PROCESS_S = 10.0
"""Seconds that all patterns of one request may take here together."""

_LONGEST_IN_PROCESS = 100_000
"""Characters up to which a pattern is compiled here; compiling takes time linear in them."""

_CHILD = r"""
import json, re, sys, warnings
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
except (ImportError, ValueError, OSError):
    pass
warnings.simplefilter("ignore")
request = json.load(sys.stdin)
try:
    pattern = re.compile(request["pattern"])
    search = pattern.fullmatch if request["whole"] else pattern.match
    found = []
    for index, name in enumerate(request["names"]):
        hit = search(name)
        if hit is not None:
            group = request["group"]
            found.append([index, None if group is None else hit.group(group)])
    answer = {"found": found}
except (re.error, OverflowError, RecursionError, MemoryError) as error:
    answer = {"error": str(error) or type(error).__name__}
json.dump(answer, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Pattern:
    """An entry of a configuration, and what PEFT writes around it to make a regex of it."""

    entry: str
    where: str
    """For messages: the field of the configuration, for example `rank_pattern`."""
    before: str = ""
    after: str = ""

    @property
    def regex(self) -> str:
        """The regular expression that PEFT compiles."""
        return f"{self.before}{self.entry}{self.after}"


class BoundedRegex:
    """Matches patterns against names; what may take long runs in a child that can be stopped.

    One instance serves one request: its time limit is shared by all patterns of the request.
    """

    def __init__(self, time_limit_s: float = 2.0) -> None:
        self._limit_s = time_limit_s
        self._left_s = time_limit_s
        self._left_here_s = _LONGEST_IN_PROCESS_S

    def matching(
        self,
        pattern: Pattern,
        names: Collection[str],
        *,
        whole: bool = False,
        group: int | str | None = None,
    ) -> Mapping[str, str | None]:
        """Return the names that the pattern matches, in order, each with the text of `group`.

        Args:
            pattern: What to match.
            names: Distinct names.
            whole: True for `re.fullmatch`, False for `re.match`.
            group: Which group's text to return; None for no text.

        Raises:
            SpecificationError: The pattern is no regular expression.
            UnmodelledError: It takes too long.
        """
        longest = max(map(len, names), default=0)
        steps = len(names) * backtracking_bound(pattern.regex, longest)
        if steps <= _IN_PROCESS_STEPS and len(pattern.regex) <= _LONGEST_IN_PROCESS:
            started = time.monotonic()
            compiled = compiled_pattern(pattern)
            search = compiled.fullmatch if whole else compiled.match
            hits = ((name, search(name)) for name in names)
            found = {
                name: None if group is None else hit.group(group)
                for name, hit in hits
                if hit is not None
            }
            self._charge(pattern, time.monotonic() - started)
            return found
        return self._matching_in_child(pattern, list(names), whole=whole, group=group)

    def _charge(self, pattern: Pattern, seconds: float) -> None:
        """Count what patterns take here: each is bounded, thousands of them together are not."""
        self._left_here_s -= seconds
        if self._left_here_s < 0:
            raise UnmodelledError(
                f"{pattern.where}: the patterns of this configuration take longer than "
                f"{_LONGEST_IN_PROCESS_S:g} s together.",
                "Write fewer or simpler ones.",
            )

    def _matching_in_child(
        self, pattern: Pattern, names: list[str], *, whole: bool, group: int | str | None
    ) -> Mapping[str, str | None]:
        request = {"pattern": pattern.regex, "names": names, "whole": whole, "group": group}
        started = time.monotonic()
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and program
                [sys.executable, "-I", "-S", "-c", _CHILD],
                input=json.dumps(request),
                capture_output=True,
                encoding="utf-8",
                timeout=max(self._left_s, 0.01),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnmodelledError(
                f"{pattern.where}: the pattern {pattern.entry!r} takes longer than "
                f"{self._limit_s:g} s on the {len(names)} module names of this model.",
                "It backtracks without end; write it without repeats inside of repeats.",
            ) from None
        self._left_s -= time.monotonic() - started
        try:
            answer = json.loads(done.stdout)
        except json.JSONDecodeError:
            raise UnmodelledError(
                f"{pattern.where}: the pattern {pattern.entry!r} could not be matched: the process "
                f"that tried ended with status {done.returncode}.",
                "It probably needs too much memory; write it shorter.",
            ) from None
        if "error" in answer:
            raise _not_a_regex(pattern, answer["error"])
        return {names[index]: text for index, text in answer["found"]}


def compiled_pattern(pattern: Pattern) -> re.Pattern[str]:
    """Compile what PEFT compiles.

    Raises:
        SpecificationError: It is no regular expression; the message says at which position.
    """
    try:
        with warnings.catch_warnings():
            # FutureWarning for "[[" and the like: PEFT's concern, it changes no match today.
            warnings.simplefilter("ignore")
            return re.compile(pattern.regex)
    except re.error as error:
        raise _not_a_regex(pattern, _own_error(pattern) or error.msg) from None
    except (OverflowError, RecursionError) as error:
        raise _not_a_regex(pattern, str(error)) from None


def _own_error(pattern: Pattern) -> str | None:
    """Return what is wrong with the entry alone, with the position in it; None if nothing is."""
    try:
        re.compile(pattern.entry)
    except re.error as error:
        return str(error)
    return None


def _not_a_regex(pattern: Pattern, why: str) -> SpecificationError:
    return SpecificationError(
        f"{pattern.where}: {pattern.entry!r} is not a valid regular expression: {why}.",
        "PEFT reads it as one; escape special characters with a backslash.",
    )
