"""What a rule is: one file holds its code, its words, its examples and its finder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lorascope.checking.subject import Subject
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit, Tool


class Needs(StrEnum):
    """The least that a rule needs to know before it can be run."""

    CONFIG = "config"
    """The configuration alone."""
    MODEL = "model"
    """The inventory of the base model; `subject.match` may still be None."""
    MATCH = "match"
    """What PEFT does with both, which may be that it refuses (`subject.refused`)."""
    TENSORS = "tensors"
    """The inventory and the stored tensors of a trained adapter."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule found; the rule's code and severity make it a finding."""

    entry: str
    """What was asked: the entry, key or value as the user wrote it."""
    message: str
    """One or two sentences: what happens, with numbers."""
    hint: str
    """What to write or do instead."""
    where: str = ""
    """Field of the configuration in PEFT's words; empty if it is about no single one."""
    paths: tuple[str, ...] = ()
    """Modules concerned, at most `MOST_PATHS`."""
    edits: tuple[Edit, ...] = ()
    """Changes that mend it, where one answer is right."""
    severity: Severity | None = None
    """Where it is not the rule's own."""


MOST_PATHS = 5
"""Modules named by one finding."""


@dataclass(frozen=True, slots=True)
class Example:
    """A configuration of a real model family that a rule speaks of, or does not."""

    model: str
    """A built-in example or a transformers model type."""
    config: Mapping[str, Any] | str
    """PEFT's fields, or the text of a tool's file."""
    tool: Tool = Tool.PEFT
    engines: tuple[str, ...] = ()
    """Serving engines asked for."""
    tensors: Mapping[str, tuple[int, ...]] | None = None
    """Stored tensors by name, with their shapes; None for a configuration not yet trained."""
    task_type: str | None = None
    """PEFT task type whose class is built; None for the one that the config names."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One mistake that people make."""

    code: str
    """`LT` and three digits."""
    name: str
    """A few words with dashes, for example `nothing-matches`."""
    severity: Severity
    """Of most of its findings."""
    summary: str
    """What it looks for, in one sentence."""
    why: str
    """Why that is bad: what PEFT does and what the user gets, in a paragraph."""
    instead: str
    """What to write instead, in a sentence or two."""
    bad: Example
    """A finding of this rule, and of this rule first of all."""
    good: Example
    """No finding of this rule: what to write instead, on the same model if possible."""
    reports: tuple[str, ...]
    """Where people reported it: `owner/name#123` or the address of a page."""
    needs: Needs
    find: Callable[[Subject], Iterator[Problem]]
    last_resort: bool = False
    """Whether its findings are dropped as soon as another rule finds an error."""
