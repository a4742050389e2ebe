"""What the rules look at: one configuration, one model, and what PEFT makes of the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lorascope.core.inventory import Inventory, Module
from lorascope.core.recipe import Recipe
from lorascope.core.spec import LoraSpec
from lorascope.core.stored import StoredTensor
from lorascope.matching import EntryMatch, Match, MatchedTarget, Where
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.names import visited_modules


@dataclass(frozen=True)
class Subject:
    """Everything known of one configuration; what is not known is None."""

    recipe: Recipe
    asked: LoraSpec
    """As the user wrote it."""
    spec: LoraSpec
    """As the tool hands it to PEFT on this model; as asked where no model is known."""
    inventory: Inventory | None = None
    """None if the base model is not known: then only rules that need no model run."""
    match: Match | None = None
    """What PEFT does; None without a model, or if PEFT refuses before it selects a module."""
    entries: tuple[EntryMatch, ...] = ()
    """What each entry that the user wrote hits, the tool's own rewriting taken into account."""
    refused: str | None = None
    """Why PEFT refuses the configuration; None if it does not, or no model is known."""
    refused_by_tool: bool = False
    """Whether it is the tool that refuses, before PEFT gets anything."""
    unmodelled: str | None = None
    """Why lorascope cannot say what PEFT does; None if it can."""
    stored: tuple[StoredTensor, ...] | None = None
    """Tensors of a trained adapter; None if there is no such file."""
    engines: tuple[str, ...] = ()
    """Serving engines asked for, under the names of `checking.engines`."""
    peft_version: str = ""
    ignored_sizes: str | None = None
    """Sizes that the base model's config states and its class ignores, so that a model of other
    sizes would be built: one sentence with the numbers. None if there are none, or the model is not
    known."""
    regex: BoundedRegex = field(default_factory=BoundedRegex, compare=False, repr=False)
    """Matches every pattern of the configuration, within one limit of time for all questions."""

    @cached_property
    def model(self) -> Inventory:
        """The inventory, for rules that need one and so are run only if there is one."""
        if self.inventory is None:
            raise LookupError("this rule needs a model")
        return self.inventory

    @cached_property
    def worked_out(self) -> dict[str, Any]:
        """Answers that several rules ask for, kept by the name of what gives them."""
        return {}

    @cached_property
    def modules(self) -> Mapping[str, Module]:
        """Modules by full name as `named_modules()` lists them, the root (`""`) first."""
        return visited_modules(self.model)

    @cached_property
    def targets(self) -> tuple[MatchedTarget, ...]:
        """What PEFT adapts; empty if it refuses."""
        return () if self.match is None else self.match.targets

    @cached_property
    def adapted(self) -> tuple[tuple[MatchedTarget, Module], ...]:
        """What PEFT adapts, each with its row of the inventory.

        A parameter that has no row of its own comes with the module that holds it.
        """
        by_path = self.model.by_path
        found = []
        for target in self.targets:
            row = by_path.get(target.path) or by_path.get(target.path.rpartition(".")[0])
            if row is not None:
                found.append((target, row))
        return tuple(found)

    @cached_property
    def adapted_paths(self) -> frozenset[str]:
        """Full names of what PEFT adapts."""
        return frozenset(target.path for target in self.targets)

    def entries_of(self, where: Where) -> tuple[EntryMatch, ...]:
        """What the entries of one field hit."""
        return tuple(entry for entry in self.entries if entry.where is where)

    @property
    def list_targets(self) -> tuple[str, ...]:
        """`target_modules` as the user listed them; empty if they are a string or not given."""
        targets = self.asked.target_modules
        return targets if isinstance(targets, tuple) else ()

    @property
    def pattern(self) -> str | None:
        """`target_modules` as PEFT gets it if that is one string, else None."""
        targets = self.spec.target_modules
        return targets if isinstance(targets, str) else None
