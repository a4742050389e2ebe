"""Python's `re` on patterns that nobody vouches for: the same answers, in bounded time."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.matching.pattern_cost import backtracking_bound

_IN_PROCESS_STEPS = 1e8
"""Bound on backtracking steps up to which a pattern runs here; about half a second at the worst."""

_LONGEST_IN_PROCESS_S = 1.0
"""Seconds of processor time that all patterns of one request may take here together."""

_LONGEST_IN_PROCESS = 20_000
"""Characters up to which a pattern is compiled here; compiling takes time linear in them."""

_MOST_KEPT = 64
"""Answers of children that are kept, since several questions about one pattern are the same."""

_OUT_OF_TIME = -getattr(signal, "SIGPROF", 0)
"""Exit status of a child that has used up its processor time; 0 where there is no such signal."""

_CHILD = r"""
import json, re, sys, time, warnings
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
except (ImportError, ValueError, OSError):
    pass
warnings.simplefilter("ignore")
request = json.load(sys.stdin)
try:
    import signal
    signal.setitimer(signal.ITIMER_PROF, request["seconds"])
except (ImportError, AttributeError):
    pass
whole, names, group = request["whole"], request["names"], request["group"]
answers = []
for text in request["patterns"]:
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        answers.append({"error": str(error) or type(error).__name__})
        continue
    search = pattern.fullmatch if whole else pattern.match
    if request["any"]:
        answers.append({"found": any(map(search, names))})
        continue
    found = []
    for index, name in enumerate(names):
        hit = search(name)
        if hit is not None:
            found.append([index, None if group is None else hit.group(group)])
    answers.append({"found": found})
json.dump({"answers": answers, "seconds": time.process_time()}, sys.stdout)
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

    One instance serves one request: its time limit is shared by all patterns of the request, so
    that none that takes too long is tried again. Time is the processor's, so that the same
    patterns get the same answers on a machine with much to do.
    """

    def __init__(self, time_limit_s: float = 1.0) -> None:
        self._limit_s = time_limit_s
        self._left_s = time_limit_s
        self._left_here_s = _LONGEST_IN_PROCESS_S
        self._kept: dict[tuple[Any, ...], Mapping[str, str | None]] = {}

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
        if _is_quick(pattern, names):
            return self._matching_here(pattern, names, whole=whole, group=group)
        listed = tuple(names)
        request = (pattern.regex, listed, whole, group)
        if request not in self._kept:
            [answer] = self._asked([pattern], listed, whole=whole, group=group)
            if "error" in answer:
                raise _not_a_regex(pattern, answer["error"])
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[request] = {listed[index]: text for index, text in answer["found"]}
        return self._kept[request]

    def any_matching(
        self, patterns: Sequence[Pattern], names: Collection[str]
    ) -> tuple[bool | None, ...]:
        """Return for each pattern whether it matches some whole name; None if it is invalid.

        Raises:
            UnmodelledError: They take too long.
        """
        found: list[bool | None] = [None] * len(patterns)
        slow = [i for i, pattern in enumerate(patterns) if not _is_quick(pattern, names)]
        if slow:
            asked = [patterns[index] for index in slow]
            answers = self._asked(asked, tuple(names), whole=True, is_any=True)
            for index, answer in zip(slow, answers, strict=True):
                found[index] = answer.get("found")
        for index in set(range(len(patterns))).difference(slow):
            try:
                found[index] = self._any_here(patterns[index], names)
            except UnmodelledError:
                raise
            except SpecificationError:
                found[index] = None
        return tuple(found)

    def _matching_here(
        self, pattern: Pattern, names: Collection[str], *, whole: bool, group: int | str | None
    ) -> Mapping[str, str | None]:
        started = time.thread_time()
        compiled = compiled_pattern(pattern)
        search = compiled.fullmatch if whole else compiled.match
        hits = ((name, search(name)) for name in names)
        found = {
            name: None if group is None else hit.group(group)
            for name, hit in hits
            if hit is not None
        }
        self._charge(pattern, time.thread_time() - started)
        return found

    def _any_here(self, pattern: Pattern, names: Collection[str]) -> bool:
        started = time.thread_time()
        found = any(map(compiled_pattern(pattern).fullmatch, names))
        self._charge(pattern, time.thread_time() - started)
        return found

    def _charge(self, pattern: Pattern, seconds: float) -> None:
        """Count what patterns take here: each is bounded, thousands of them together are not."""
        self._left_here_s -= seconds
        if self._left_here_s < 0:
            raise UnmodelledError(
                f"{pattern.where}: the patterns of this configuration take longer than "
                f"{_LONGEST_IN_PROCESS_S:g} s together.",
                "Write fewer or simpler ones.",
            )

    def _asked(
        self,
        patterns: Sequence[Pattern],
        names: tuple[str, ...],
        *,
        whole: bool,
        group: int | str | None = None,
        is_any: bool = False,
    ) -> list[dict[str, Any]]:
        """Ask a child; it has the time that is left, and ends itself when that is used up."""
        if self._left_s <= 0:
            raise UnmodelledError(
                f"{patterns[0].where}: the pattern {patterns[0].entry!r} was not tried: the "
                f"patterns of this configuration take longer than {self._limit_s:g} s together.",
                "Write fewer or simpler ones.",
            )
        request = {
            "patterns": [pattern.regex for pattern in patterns],
            "names": names,
            "whole": whole,
            "group": group,
            "any": is_any,
            "seconds": self._left_s,
        }
        started = time.thread_time()
        waits_s = self._left_s + 0.5 if _OUT_OF_TIME == 0 else 20 * self._left_s + 5
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and program
                [sys.executable, "-I", "-S", "-c", _CHILD],
                input=json.dumps(request),
                capture_output=True,
                encoding="utf-8",
                timeout=waits_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self._left_s = 0.0
            raise self._too_slow(patterns[0], names) from None
        if done.returncode == _OUT_OF_TIME != 0:
            self._left_s = 0.0
            raise self._too_slow(patterns[0], names)
        try:
            answer = json.loads(done.stdout)
        except json.JSONDecodeError:
            self._left_s -= self._limit_s / 4
            raise UnmodelledError(
                f"{patterns[0].where}: the pattern {patterns[0].entry!r} could not be matched: the "
                f"process that tried ended with status {done.returncode}.",
                "It probably needs too much memory; write it shorter.",
            ) from None
        self._left_s -= answer["seconds"] + time.thread_time() - started
        return list(answer["answers"])

    def _too_slow(self, pattern: Pattern, names: Collection[str]) -> UnmodelledError:
        return UnmodelledError(
            f"{pattern.where}: the pattern {pattern.entry!r} takes longer than "
            f"{self._limit_s:g} s on the {len(names)} module names of this model.",
            "It backtracks without end; write it without repeats inside of repeats.",
        )


def _is_quick(pattern: Pattern, names: Collection[str]) -> bool:
    """Whether it can be matched here, where nothing can stop it."""
    if len(pattern.regex) > _LONGEST_IN_PROCESS:
        return False
    longest = max(map(len, names), default=0)
    return len(names) * backtracking_bound(pattern.regex, longest) <= _IN_PROCESS_STEPS


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
