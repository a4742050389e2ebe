"""Which parts of `self` an expression of a method means, local names looked through."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator

from lorascope.observe.effects import ANY, Path

Chains = frozenset[Path]

_NONE: Chains = frozenset()

_PASSING = frozenset({"list", "reversed", "tuple"})
"""Functions whose result has the elements of their argument."""

_ELEMENTS = frozenset({"children", "modules", "values"})
"""Methods of containers whose result has the container's elements."""


class Locals:
    """What the local names of one method stand for, wherever they were bound."""

    def __init__(self, node: ast.FunctionDef) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args]
        self._names: dict[str, Chains] = {}
        if arguments:
            self._names[arguments[0].arg] = frozenset({()})
        # A name may be bound to another one that is bound further down, in a loop.
        for _ in range(2):
            for target, value in _bindings(node):
                self._bind(target, value)

    def chains(self, node: ast.AST | None) -> Chains:
        """Return the paths from `self` that the expression may mean; none if it is no such."""
        match node:
            case ast.Name(id=name):
                return self._names.get(name, _NONE)
            case ast.Attribute(value=value, attr=attr):
                return _longer(self.chains(value), attr)
            case ast.Subscript(value=value, slice=ast.Slice()):
                return self.chains(value)
            case ast.Subscript(value=value, slice=ast.Constant(value=index)):
                return _longer(self.chains(value), str(index))
            case ast.Subscript(value=value):
                return _longer(self.chains(value), ANY)
            case ast.IfExp(body=body, orelse=orelse):
                return self.chains(body) | self.chains(orelse)
            case ast.NamedExpr(value=value):
                return self.chains(value)
            case _:
                return _NONE

    def _bind(self, target: ast.AST, value: ast.AST | _Element) -> None:
        if isinstance(value, _Element):
            self._bind_element(target, value.of)
            return
        match target, value:
            case ast.Name(id=name), _:
                self._add(name, self.chains(value))
            case ast.Tuple(elts=targets), ast.Tuple(elts=values):
                for one, other in zip(targets, values, strict=False):
                    self._bind(one, other)

    def _bind_element(self, target: ast.AST, source: ast.AST) -> None:
        match target, source:
            case ast.Tuple(elts=[_, element]), ast.Call(func=ast.Name(id="enumerate"), args=[one]):
                self._bind_element(element, one)
            case ast.Tuple(elts=[_, element]), ast.Call(
                func=ast.Attribute(value=one, attr="items")
            ):
                self._bind_element(element, one)
            case ast.Tuple(elts=targets), ast.Call(func=ast.Name(id="zip"), args=sources):
                for one_target, one_source in zip(targets, sources, strict=False):
                    self._bind_element(one_target, one_source)
            case _, ast.Call(func=ast.Name(id=name), args=[one]) if name in _PASSING:
                self._bind_element(target, one)
            case _, ast.Call(func=ast.Attribute(value=one, attr=name)) if name in _ELEMENTS:
                self._bind_element(target, one)
            case ast.Name(id=name), _:
                self._add(name, _longer(self.chains(source), ANY))

    def _add(self, name: str, chains: Chains) -> None:
        known = self._names.get(name, _NONE)
        self._names[name] = known | {chain for chain in chains if len(chain) <= _LONGEST}


_LONGEST = 8
"""Attributes from `self` on that a local name may stand for: `x = x.next` in a loop ends."""


@functools.lru_cache(maxsize=4096)
def locals_of(node: ast.FunctionDef) -> Locals:
    """Return what the local names of a method stand for."""
    return Locals(node)


class _Element:
    """The elements of an iterable, one after the other."""

    def __init__(self, of: ast.AST) -> None:
        self.of = of


def _bindings(node: ast.FunctionDef) -> Iterator[tuple[ast.AST, ast.AST | _Element]]:
    for part in ast.walk(node):
        match part:
            case ast.Assign(targets=targets, value=value):
                yield from ((target, value) for target in targets)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield target, value
            case ast.NamedExpr(target=target, value=value):
                yield target, value
            case (
                ast.For(target=target, iter=source) | ast.comprehension(target=target, iter=source)
            ):
                yield target, _Element(source)


def _longer(chains: Chains, name: str) -> Chains:
    return frozenset((*chain, name) for chain in chains)
