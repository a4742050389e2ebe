"""Which layers a model class of an engine may hold, by the names that its source gives them."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from engine_source import SourceClass, SourceModule, own_name, walk_reachable

_HOLDERS = frozenset({"Sequential", "ModuleList", "ModuleDict"})
NUMBERED = "#"
"""Stands for any number: the name of a layer in a list."""


@dataclass
class Layers:
    """What a class may hold. Rather a name too many than one too few."""

    linears: set[str] = field(default_factory=set)
    """Last names of linear layers."""
    experts: set[str] = field(default_factory=set)
    """Last names of layers of routed experts."""
    around_experts: set[str] = field(default_factory=set)
    """Names of the modules that hold those."""
    mentioned: list[SourceClass] = field(default_factory=list)
    """All classes that it may use."""
    registered: list[tuple[str, ...]] = field(default_factory=list)
    """For each inner model from the registry its architectures; empty if its config decides."""


def layers_of(
    cls: SourceClass,
    is_inside: Callable[[SourceModule], bool],
    is_linear: Callable[[SourceClass], bool],
    expert_layers: frozenset[str],
) -> Layers:
    """Collect the layers of a model class.

    Args:
        cls: The class that the engine's registry names.
        is_inside: Whether a module's source is to be looked at.
        is_linear: Whether a class is a linear layer of the engine.
        expert_layers: Names of what makes a layer of routed experts.
    """
    found = Layers()
    holders: dict[str, set[str]] = {}
    with_experts: set[str] = set()
    for module, node in walk_reachable(cls, is_inside):
        if isinstance(node, ast.ClassDef):
            found.mentioned.append(module.package.class_of(module, node))
        for name, value in _given_to_self(node):
            for call in _calls(value):
                if _last(call.func) in expert_layers:
                    found.experts.add(name)
                    with_experts.add(node.name)
                    continue
                made = _made(module, node, call.func, is_linear)
                for each in made.classes:
                    holders.setdefault(each.name, set()).add(name)
                if made.may_be_linear and (call is value or _is_held(value) or made.is_sure):
                    found.linears |= {name, *(_names_inside(value) if _is_held(value) else ())}
        found.registered += _registered(node)
    for each in found.mentioned:
        if any(above.name in with_experts for above in each.mro):
            found.around_experts |= holders.get(each.name, set())
    return found


@dataclass(frozen=True)
class _Made:
    """What a call makes."""

    classes: tuple[SourceClass, ...] = ()
    may_be_linear: bool = False
    is_sure: bool = False


def _made(
    module: SourceModule,
    node: ast.AST,
    function: ast.expr,
    is_linear: Callable[[SourceClass], bool],
) -> _Made:
    """Follow a class, a function, a method, and a variable or attribute that holds a class."""
    found = list(_meant(module, node, function))
    classes = tuple(each for each in found if isinstance(each, SourceClass))
    functions = [each for each in found if isinstance(each, tuple)]
    is_sure = any(is_linear(each) for each in classes)
    may = is_sure or None in found or any(_makes_linear(*each, is_linear) for each in functions)
    return _Made(classes, may, is_sure)


def _meant(
    module: SourceModule, node: ast.AST, function: ast.expr
) -> Iterator[SourceClass | tuple[SourceModule, ast.FunctionDef] | None]:
    """Yield what a called expression stands for; None for what may be any class."""
    if isinstance(function, ast.IfExp):
        yield from _meant(module, node, function.body)
        yield from _meant(module, node, function.orelse)
        return
    if isinstance(function, ast.Constant):  # the default of a parameter that holds a class
        yield None
        return
    name = own_name(function)
    if name is not None and isinstance(node, ast.ClassDef):
        cls = module.package.class_of(module, node)
        method, held = cls.method(name), cls.holder(name)
        if method is not None:
            yield (module, method)
        elif held is not None:
            yield from _meant(held[0].module, held[0].node, held[1])
        elif "cls" in name or "linear" in name:
            yield None
        return
    resolved = module.resolve(function)
    is_function = isinstance(resolved, tuple) and isinstance(resolved[1], ast.FunctionDef)
    if isinstance(resolved, SourceClass) or is_function:
        yield resolved
    elif isinstance(function, ast.Name) and resolved is None and _is_variable(module, function.id):
        given = list(_values_of(node, function.id))
        for value in given:
            yield from _meant(module, node, value) if not _is_named(value, function.id) else (None,)
        if not given:
            yield None


def _is_variable(module: SourceModule, name: str) -> bool:
    return name not in module.names and not hasattr(builtins, name)


def _values_of(node: ast.AST, name: str) -> Iterator[ast.expr]:
    """Yield what a local variable or parameter is given in a class or function."""
    for each in ast.walk(node):
        match each:
            case ast.Assign(targets=targets, value=value):
                if any(_is_named(target, name) for target in targets):
                    yield value
            case ast.FunctionDef(args=args):
                named = [*args.posonlyargs, *args.args]
                late = zip(named[len(named) - len(args.defaults) :], args.defaults, strict=True)
                for argument, value in (
                    *late,
                    *zip(args.kwonlyargs, args.kw_defaults, strict=True),
                ):
                    if argument.arg == name and value is not None:
                        yield value


def _is_named(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _makes_linear(
    module: SourceModule, function: ast.FunctionDef, is_linear: Callable[[SourceClass], bool]
) -> bool:
    called = (module.resolve(call.func) for call in _calls(function))
    return any(isinstance(each, SourceClass) and is_linear(each) for each in called)


def _is_held(value: ast.expr) -> bool:
    """Whether a value is a list or sequence of layers."""
    return any(_last(call.func) in _HOLDERS for call in _calls(value))


def _names_inside(value: ast.expr) -> Iterator[str]:
    yield NUMBERED
    for each in ast.walk(value):
        value_of = each.value if isinstance(each, ast.Constant) else None
        if isinstance(value_of, str) and value_of.isidentifier():
            yield value_of


def _given_to_self(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for inner in ast.walk(node):
        match inner:
            case ast.Assign(targets=targets, value=value):
                names = [own_name(each) for target in targets for each in _flat(target)]
            case ast.AnnAssign(target=target, value=value) if value is not None:
                names = [own_name(target)]
            case _:
                continue
        yield from ((name, value) for name in names if name is not None)


def _flat(target: ast.expr) -> Iterable[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple) else (target,)


def _calls(value: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(value) if isinstance(each, ast.Call))


def _last(function: ast.expr) -> str:
    match function:
        case ast.Name(name):
            return name
        case ast.Attribute(attr=name):
            return name
    return ""


def _registered(node: ast.AST) -> Iterator[tuple[str, ...]]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and _last(call.func) == "init_vllm_registered_model":
            given = next((k.value for k in call.keywords if k.arg == "architectures"), None)
            try:
                yield tuple(ast.literal_eval(given)) if given is not None else ()
            except ValueError:
                yield ()
