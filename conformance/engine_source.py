"""The source of a Python package, read and never run: classes, what they inherit, what they hold.

Only `ast` is used. What cannot be known without running it raises `UnknownValueError`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any


class UnknownValueError(Exception):
    """An expression whose value only a run would show."""


@dataclass(frozen=True, eq=False)
class SourceClass:
    """One class of the package."""

    module: SourceModule
    node: ast.ClassDef

    @property
    def name(self) -> str:
        """As it is defined, without its module."""
        return self.node.name

    @cached_property
    def mro(self) -> tuple[SourceClass, ...]:
        """Itself and what it inherits, in Python's order; classes of other packages left out."""
        bases = [self.module.resolve(base) for base in self.node.bases]
        known = [base for base in bases if isinstance(base, SourceClass)]
        return (self, *_merged([list(base.mro) for base in known] + [known]))

    def holder(self, name: str) -> tuple[SourceClass, ast.expr] | None:
        """Return the class that sets an attribute in its body, with the value."""
        for each in self.mro:
            for statement in each.node.body:
                if name in _names_set(statement) and statement.value is not None:
                    return each, statement.value
        return None

    def method(self, name: str) -> ast.FunctionDef | None:
        """Return a method, its own or inherited."""
        for each in self.mro:
            for statement in each.node.body:
                if isinstance(statement, ast.FunctionDef) and statement.name == name:
                    return statement
        return None

    def value(self, name: str, otherwise: Any = None) -> Any:
        """Return the value of a class attribute."""
        held = self.holder(name)
        return otherwise if held is None else held[0].evaluate(held[1])

    def evaluate(self, expression: ast.expr) -> Any:
        """Return the value of an expression in the class body."""
        return _Evaluation(self.module, self).of(expression)

    def inherits(self, name: str) -> bool:
        """Whether one of its classes has this name."""
        return any(each.name == name for each in self.mro)

    def sets_in_methods(self, name: str) -> Iterator[ast.expr]:
        """Yield the values that methods give to `self.name`, and to `self.name[…]`."""
        for each in self.mro:
            for node in ast.walk(each.node):
                if isinstance(node, ast.Assign):
                    for target in node.targets:
                        inner = target.value if isinstance(target, ast.Subscript) else target
                        if _is_own(inner) and inner.attr == name:
                            yield node.value


@dataclass(frozen=True, eq=False)
class SourceModule:
    """One module of the package."""

    package: Package
    name: str
    tree: ast.Module = field(repr=False)
    is_package: bool

    @cached_property
    def names(self) -> Mapping[str, ast.stmt | tuple[str, str | None]]:
        """What each name at the top is: its statement, or module and name of an import.

        Of branches for platforms the last one counts, which is the one for CUDA.
        """
        found: dict[str, ast.stmt | tuple[str, str | None]] = {}
        for statement in _at_top(self.tree.body):
            match statement:
                case ast.ClassDef() | ast.FunctionDef():
                    found[statement.name] = statement
                case ast.Import():
                    for alias in statement.names:
                        whole = alias.name if alias.asname else alias.name.partition(".")[0]
                        found[alias.asname or whole] = (whole, None)
                case ast.ImportFrom():
                    for alias in statement.names:
                        found[alias.asname or alias.name] = (self._from(statement), alias.name)
                case ast.Assign() | ast.AnnAssign():
                    found.update(dict.fromkeys(_names_set(statement), statement))
        return found

    def _from(self, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        parts = self.name.split(".")
        kept = parts[: len(parts) - statement.level + self.is_package]
        return ".".join([*kept, *(statement.module or "").split(".")]).rstrip(".")

    def resolve(self, expression: ast.expr) -> Any:
        """Return what a name stands for: a class, a module, a function or assignment; else None."""
        if isinstance(expression, ast.Subscript):  # a generic class
            return self.resolve(expression.value)
        if isinstance(expression, ast.Attribute):
            inner = self.resolve(expression.value)
            return inner.lookup(expression.attr) if isinstance(inner, SourceModule) else None
        return self.lookup(expression.id) if isinstance(expression, ast.Name) else None

    def lookup(self, name: str) -> Any:
        """Return what a name at the top of the module stands for; None for another package's."""
        held = self.names.get(name)
        match held:
            case ast.ClassDef():
                return self.package.class_of(self, held)
            case (module, None):
                return self.package.module(module)
            case (module, str(original)):
                source = self.package.module(module)
                inside = None if source is None else source.lookup(original)
                return inside or self.package.module(f"{module}.{original}")
            case None:
                return None
            case _:
                return (self, held)


class Package:
    """A package's source below a directory."""

    def __init__(self, root: Path, name: str) -> None:
        """Open it; `root` holds the directory `name`."""
        self.root, self.name = root, name
        self._modules: dict[str, SourceModule | None] = {}
        self._classes: dict[ast.ClassDef, SourceClass] = {}

    def module(self, name: str) -> SourceModule | None:
        """Return a module by its full name; None if the package has none of it."""
        if name.split(".")[0] != self.name:
            return None
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def _read(self, name: str) -> SourceModule | None:
        base = self.root.joinpath(*name.split("."))
        for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
            if path.is_file():
                tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
                return SourceModule(self, name, tree, path.name == "__init__.py")
        return None

    def class_of(self, module: SourceModule, node: ast.ClassDef) -> SourceClass:
        """Return the one value that stands for a class."""
        return self._classes.setdefault(node, SourceClass(module, node))

    def needed(self, name: str) -> SourceModule:
        """Return a module that must be there.

        Raises:
            SystemExit: The package has changed so much that it is not.
        """
        found = self.module(name)
        if found is None:
            raise SystemExit(f"{self.root}: no module {name}; the script must be changed.")
        return found


class _Evaluation:
    """Works out expressions of literals, class attributes, and unions of both."""

    def __init__(self, module: SourceModule, cls: SourceClass | None = None) -> None:
        self._module, self._class = module, cls

    def of(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value):
                return value
            case ast.List() | ast.Tuple() | ast.Set():
                return [self.of(each) for each in node.elts]
            case ast.Dict():
                return self._dict(node)
            case ast.BinOp(left, ast.BitOr(), right):
                return merged(self.of(left), self.of(right))
            case ast.Attribute(value=value, attr=name):
                return self._attribute(value, name)
            case ast.Name(name):
                return self._name(name)
            case ast.Call():
                return self._call(node)
        raise UnknownValueError(ast.unparse(node)[:80])

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            found.update(self.of(value) if key is None else {self.of(key): self.of(value)})
        return found

    def _attribute(self, value: ast.expr, name: str) -> Any:
        holder = self._module.resolve(value)
        if isinstance(holder, SourceClass):
            held = holder.holder(name)
            if held is not None:
                return held[0].evaluate(held[1])
        raise UnknownValueError(f"{ast.unparse(value)}.{name}")

    def _name(self, name: str) -> Any:
        if self._class is not None:
            held = self._class.holder(name)
            if held is not None:
                return held[0].evaluate(held[1])
        found = self._module.lookup(name)
        if isinstance(found, tuple):
            module, statement = found
            if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
                return _Evaluation(module).of(statement.value)
        raise UnknownValueError(name)

    def _call(self, node: ast.Call) -> Any:
        called = ast.unparse(node.func)
        if called == "re.compile" and node.args:
            return self.of(node.args[0])
        if called.rpartition(".")[2] == "WeightsMapper":
            return {k.arg: self.of(k.value) for k in node.keywords if k.arg is not None}
        raise UnknownValueError(called)


def value_of(module: SourceModule, name: str) -> Any:
    """Return the value of a name at the top of a module."""
    return _Evaluation(module).of(ast.Name(name))


def literal(module: SourceModule, node: ast.expr) -> Any:
    """Return the value of an expression at the top of a module."""
    return _Evaluation(module).of(node)


def merged(left: Any, right: Any) -> Any:
    """Return the union of two mappings, of their mappings too."""
    if not isinstance(left, dict) or not isinstance(right, dict):
        raise UnknownValueError("| of something else than mappings")
    both = {k: merged(left[k], v) for k, v in right.items() if isinstance(left.get(k), dict)}
    return left | right | both


def walk_reachable(
    start: SourceClass, is_inside: Callable[[SourceModule], bool]
) -> Iterator[tuple[SourceModule, ast.ClassDef | ast.FunctionDef]]:
    """Yield the classes and functions that a class may use, by the names that it mentions."""
    seen: set[ast.AST] = set()
    todo: list[tuple[SourceModule, ast.AST]] = [(each.module, each.node) for each in start.mro]
    while todo:
        module, node = todo.pop()
        if node in seen or not is_inside(module):
            continue
        seen.add(node)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield module, node
        for inner in ast.walk(node):
            if isinstance(inner, (ast.Name, ast.Attribute)):
                found = module.resolve(inner)
                if isinstance(found, SourceClass):
                    todo += [(each.module, each.node) for each in found.mro]
                elif isinstance(found, tuple):
                    todo.append(found)


def _merged(orders: list[list[SourceClass]]) -> list[SourceClass]:
    """Merge orders of inheritance as Python does; where they contradict, the first wins."""
    result: list[SourceClass] = []
    orders = [order for order in orders if order]
    while orders:
        heads = [order[0] for order in orders]
        free = [head for head in heads if not any(head in order[1:] for order in orders)]
        chosen = (free or heads)[0]
        result.append(chosen)
        orders = [[each for each in order if each is not chosen] for order in orders]
        orders = [order for order in orders if order]
    return result


def _is_own(node: ast.expr) -> bool:
    """Whether it is an attribute of `self`."""
    is_attribute = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return is_attribute and node.value.id == "self"


def own_name(node: ast.expr) -> str | None:
    """Return the name of an attribute of `self`; None for anything else."""
    return node.attr if _is_own(node) else None


def _names_set(statement: ast.stmt) -> tuple[str, ...]:
    match statement:
        case ast.Assign():
            return tuple(each.id for each in statement.targets if isinstance(each, ast.Name))
        case ast.AnnAssign(target=ast.Name(name)):
            return (name,)
    return ()


def _at_top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        match statement:
            case ast.If() | ast.Try():
                yield from _at_top(statement.body)
                for handler in getattr(statement, "handlers", ()):
                    yield from _at_top(handler.body)
                yield from _at_top(statement.orelse)
            case _:
                yield statement


@cache
def parents(node: ast.AST) -> Mapping[ast.AST, ast.AST]:
    """Return the node above each node below one."""
    return {child: above for above in ast.walk(node) for child in ast.iter_child_nodes(above)}
