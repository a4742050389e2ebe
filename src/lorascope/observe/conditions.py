"""Which way a condition goes in a plain training step, as far as that is certain.

Known are: the object's own plain attributes and those of its config, that it is being trained, and
arguments that nobody gave, which have their defaults. Nothing is executed.
"""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lorascope.observe.effects import Path
from lorascope.observe.questions import PLAIN, SOMETHING, UNKNOWN, Questions

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
            case ast.Name(id=name):
                made = self._made.get(name)
                return (
                    self._values.get(name, UNKNOWN) if made is None else self.value(made, depth + 1)
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


def _truth(value: object) -> bool | None:
    return bool(value) if isinstance(value, PLAIN) else None


def _compared(op: ast.cmpop, left: object, right: object) -> object:
    if isinstance(op, (ast.Is, ast.IsNot)):
        if left is UNKNOWN or right is UNKNOWN or (left is right is SOMETHING):
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


def _names_bound(node: ast.FunctionDef) -> Iterator[str]:
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
