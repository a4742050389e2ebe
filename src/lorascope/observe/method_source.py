"""The parsed source of a class's methods. Nothing is executed."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from types import FunctionType

_LONGEST = 200_000
"""Characters of a method's source that are parsed at most."""


def definition(
    cls: type, method: str, behind: type | None = None
) -> tuple[type, ast.FunctionDef] | None:
    """Return the class that defines `cls.method`, and its source.

    Args:
        cls: Class of the object.
        method: Name of the method.
        behind: For `super()`, the class behind which to look; None for a plain lookup.

    Returns:
        None if there is no such method, or no source of it (compiled, or made at run time).
    """
    order = cls.__mro__
    if behind is not None:
        order = order[order.index(behind) + 1 :]
    for holder in order:
        if method in vars(holder):
            node = _parsed(vars(holder)[method])
            return None if node is None else (holder, node)
    return None


def _parsed(function: object) -> ast.FunctionDef | None:
    try:
        plain = inspect.unwrap(function)  # type: ignore[arg-type]  # takes any object
    except ValueError:
        return None
    return _parsed_function(plain) if isinstance(plain, FunctionType) else None


@functools.lru_cache(maxsize=4096)
def _parsed_function(function: FunctionType) -> ast.FunctionDef | None:
    try:
        source = inspect.getsource(function)
        if len(source) > _LONGEST:
            return None
        node = ast.parse(textwrap.dedent(source)).body[0]
    except (OSError, TypeError, SyntaxError, ValueError, IndexError, RecursionError):
        return None
    return node if isinstance(node, ast.FunctionDef) else None
