"""Which way a condition goes in a plain training step, as far as that is certain.

Known are: the object's own plain attributes and those of its config, that it is being trained,
arguments that nobody gave, which have their defaults, and what a local name was last given on every
way that leads here. Nothing is executed.
"""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from lorascope.observe.effects import Path
from lorascope.observe.questions import PLAIN, SOMETHING, TRUTHY, UNKNOWN, Questions

_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_DEEPEST = 20
"""Names that stand for other names are followed so far."""


class Facts:
    """What is certain inside one method of one object."""

    def __init__(
        self, questions: Questions, node: ast.FunctionDef, given: Mapping[str, object]
    ) -> None:
        """Collect what the names of the method stand for.

        Args:
            questions: Answers what is asked of the object.
            node: Its method.
            given: Argument → its value or `UNKNOWN`; those left out have their defaults.
        """
        self._questions = questions
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        self._self = names[0] if names else ""
        bound = Counter(_names_bound(node))
        self._values: dict[str, object] = {
            name: value
            for name, value in (_defaults(node) | dict(given)).items()
            if not bound[name]
        }
        self._made = {name: value for name, value in _single_assignments(node) if bound[name] == 1}
        arguments = {*names, *(argument.arg for argument in node.args.kwonlyargs)}
        for name in arguments:
            self._made.pop(name, None)
        self.now: Mapping[str, object] = {}
        """Local name → what it has at the statement that is followed; left out if not certain."""

    def bind(self, name: str, value: ast.expr) -> None:
        """Note that a local name now has the value of an expression."""
        if name not in self._made:  # that one has it wherever it is known
            self.now = {**self.now, name: self.value(value)}

    def forget(self, nodes: Iterable[ast.AST]) -> None:
        """Note that whatever is bound somewhere inside `nodes` is no longer certain."""
        bound = {name for node in nodes for name in _names_bound(node)}
        self.now = {name: value for name, value in self.now.items() if name not in bound}

    def truth(self, node: ast.expr) -> bool | None:
        """Return whether a condition holds; None if that is not certain."""
        return _truth(self.value(node))

    def value(self, node: ast.AST, depth: int = 0) -> object:
        """Return the value of an expression, `SOMETHING` or `UNKNOWN`."""
        if depth > _DEEPEST:
            return UNKNOWN
        match node:
            case ast.Constant(value=value):
                return value if isinstance(value, PLAIN) else UNKNOWN
            case ast.JoinedStr(values=parts):
                is_text = any(isinstance(part, ast.Constant) and part.value for part in parts)
                return TRUTHY if is_text else UNKNOWN
            case ast.Name(id=name) if name in self.now:
                return self.now[name]
            case ast.Name(id=name):
                made = self._made.get(name)
                return (
                    self._values.get(name, UNKNOWN) if made is None else self._lasting(made, depth)
                )
            case ast.Attribute():
                return self._attribute(node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                truth = _truth(self.value(operand, depth + 1))
                return UNKNOWN if truth is None else not truth
            case ast.BoolOp(op=op, values=values):
                return self._chained(isinstance(op, ast.And), values, depth)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return _compared(op, self.value(left, depth + 1), self.value(right, depth + 1))
            case ast.Call(func=ast.Name(id="hasattr"), args=[owner, ast.Constant(value=name)]):
                return self._has(owner, name)
            case _:
                return UNKNOWN

    def _lasting(self, node: ast.AST, depth: int) -> object:
        """Return what an expression has that was evaluated at some other statement."""
        now, self.now = self.now, {}
        value = self.value(node, depth + 1)
        self.now = now
        return value

    def _chained(self, is_and: bool, values: list[ast.expr], depth: int) -> object:
        result: object = is_and
        for value in values:
            result_here = self.value(value, depth + 1)
            truth = _truth(result_here)
            if truth is not None and truth is not is_and:
                return truth
            if truth is None:
                result = UNKNOWN
        return result

    def _attribute(self, node: ast.Attribute) -> object:
        path = self._path(node)
        return UNKNOWN if path is None else self._questions.value(path)

    def _has(self, owner: ast.expr, name: object) -> object:
        path = self._path(owner)
        if path is None or not isinstance(name, str):
            return UNKNOWN
        return self._questions.has((*path, name))

    def _path(self, node: ast.expr) -> Path | None:
        match node:
            case ast.Name(id=name) if name == self._self:
                return ()
            case ast.Attribute(value=value, attr=attr):
                path = self._path(value)
                return None if path is None else (*path, attr)
            case _:
                return None


def either_now(first: Mapping[str, object], second: Mapping[str, object]) -> Mapping[str, object]:
    """Return what is certain of local names where two ways meet."""
    both = {name: _either(first[name], second[name]) for name in first.keys() & second.keys()}
    return {name: value for name, value in both.items() if value is not UNKNOWN}


def _either(first: object, second: object) -> object:
    if type(first) is type(second) and first == second:
        return first
    return TRUTHY if _truth(first) and _truth(second) else UNKNOWN


def _truth(value: object) -> bool | None:
    if value is TRUTHY:
        return True
    return bool(value) if isinstance(value, PLAIN) else None


def _compared(op: ast.cmpop, left: object, right: object) -> object:
    if isinstance(op, (ast.Is, ast.IsNot)):
        if left is UNKNOWN or right is UNKNOWN or (left is right is SOMETHING):
            return UNKNOWN
        if TRUTHY in (left, right) and None not in (left, right):
            return UNKNOWN
        return (left is right) == isinstance(op, ast.Is)
    compare = _COMPARED.get(type(op))
    if compare is None or not (isinstance(left, PLAIN) and isinstance(right, PLAIN)):
        return UNKNOWN
    try:
        return compare(left, right)
    except TypeError:
        return UNKNOWN


def _defaults(node: ast.FunctionDef) -> dict[str, object]:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    defaults = node.args.defaults
    pairs: list[tuple[str, ast.expr | None]] = [
        *zip(names[len(names) - len(defaults) :], defaults, strict=True),
        *zip((a.arg for a in node.args.kwonlyargs), node.args.kw_defaults, strict=True),
    ]
    return {
        name: default.value
        for name, default in pairs
        if isinstance(default, ast.Constant) and isinstance(default.value, PLAIN)
    }


def _names_bound(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            yield part.id


def _single_assignments(node: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    for part in ast.walk(node):
        match part:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value


def arguments_of(node: ast.FunctionDef, call: ast.Call | None, facts: Facts) -> dict[str, object]:
    """Return argument → value or `UNKNOWN` for a call of the method `node`; defaults left out.

    Args:
        node: The method called.
        call: The call, without `self`; None if the method is only handed on.
        facts: What is certain where it is called.
    """
    positional = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)][1:]
    names = [*positional, *(argument.arg for argument in node.args.kwonlyargs)]
    if call is None:
        return dict.fromkeys(names, UNKNOWN)
    spread = any(isinstance(argument, ast.Starred) for argument in call.args)
    spread = spread or any(keyword.arg is None for keyword in call.keywords)
    given: dict[str, object] = dict.fromkeys(names, UNKNOWN) if spread else {}
    if not any(isinstance(argument, ast.Starred) for argument in call.args):
        for name, argument in zip(positional, call.args, strict=False):
            given[name] = facts.value(argument)
    for keyword in call.keywords:
        if keyword.arg is not None:
            given[keyword.arg] = facts.value(keyword.value)
    return given
