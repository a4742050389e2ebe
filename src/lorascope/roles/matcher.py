"""Find the row that speaks of a module: quick, and the most specific row wins."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

from lorascope.roles.rule import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lorascope.core.inventory import Module
    from lorascope.core.roles import Kind
    from lorascope.roles.rule import Rule

    _Question = tuple[tuple[str, ...], str, Kind, str, str, str]


class Matcher:
    """Rules by the last name of their pattern, the most specific first."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        by_name: dict[str, list[Rule]] = defaultdict(list)
        for rule in rules:
            by_name[rule.parts[-1]].append(rule)
        self._by_name = {name: _most_specific_first(group) for name, group in by_name.items()}
        self._depth = max((len(rule.parts) for rule in chain(*by_name.values())), default=1)
        self._found: dict[_Question, Rule | None] = {}

    def find(self, module: Module, parent: str, model_type: str) -> Rule | None:
        """Return the most specific row that speaks of `module`, or None.

        Like modules of different blocks are asked about once: no pattern has a number inside.
        """
        *holders, name = module.path.split(".")[-self._depth :]
        folded = tuple(NUMBER if part.isdigit() else part for part in holders)
        question = (folded, name, module.kind, module.cls, parent, model_type)
        if question not in self._found:
            self._found[question] = next(self.all(module, parent, model_type), None)
        return self._found[question]

    def all(self, module: Module, parent: str, model_type: str) -> Iterator[Rule]:
        """Yield every row that speaks of `module`, the most specific first.

        Args:
            module: The module.
            parent: Class of the module that holds it; empty if it is not known.
            model_type: Model type of the whole model; empty if it is not known.
        """
        candidates = self._candidates(module.name)
        if not candidates:
            return
        parts = tuple(module.path.split("."))
        for rule in candidates:
            if rule.matches(parts, module, parent, model_type):
                yield rule

    def _candidates(self, name: str) -> tuple[Rule, ...]:
        named = self._by_name.get(name, ())
        if not name.isdigit():
            return named
        return _most_specific_first((*named, *self._by_name.get(NUMBER, ())))


def _most_specific_first(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=lambda rule: rule.rank, reverse=True))
