"""What a method may do with the modules of its object, followed branch by branch."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping

from torch import nn

from lorascope.observe.chains import Chains, Locals, locals_of
from lorascope.observe.conditions import Facts, arguments_of, either_now
from lorascope.observe.effects import NO_EFFECT, Deed, Effects, Flow, Path, either, one, then
from lorascope.observe.method_source import definition
from lorascope.observe.questions import Questions, same_answers

_QUERIES = frozenset(
    {
        "data_ptr",
        "device",
        "dim",
        "dtype",
        "element_size",
        "get_device",
        "grad",
        "is_contiguous",
        "is_cuda",
        "is_floating_point",
        "is_meta",
        "layout",
        "ndim",
        "new_empty",
        "new_full",
        "new_ones",
        "new_tensor",
        "new_zeros",
        "numel",
        "requires_grad",
        "requires_grad_",
        "shape",
        "size",
        "stride",
    }
)
"""Attributes of a tensor that tell nothing of its values."""

_ASKING = frozenset(
    {
        "empty_like",
        "full_like",
        "getattr",
        "hasattr",
        "id",
        "isinstance",
        "len",
        "ones_like",
        "rand_like",
        "randn_like",
        "setattr",
        "to",
        "type",
        "type_as",
        "zeros_like",
    }
)
"""Functions and methods that use no value of the tensor or module they are given."""

_DEEPEST = 12
"""Methods that call one another are followed so far."""


class MethodFlow:
    """Effects of methods, each worked out once for objects that are alike."""

    def __init__(self) -> None:
        self._known: dict[tuple[type, str], list[tuple[Questions, Effects]]] = {}

    def effects_of(self, instance: nn.Module, method: str) -> Effects:
        """Return what a method may do with what is reached from `self`, in a plain training step.

        Calls of other methods of the same object are followed. Where no source is at hand nothing
        is said.
        """
        known = self._known.setdefault((type(instance), method), [])
        for questions, effects in known:
            if same_answers(instance, questions.answers):
                return effects
        questions = Questions(instance)
        effects = _Method(type(instance), questions).effects(method, None, {})
        known.append((questions, effects))
        return effects


class _Method:
    """Follows methods of one object."""

    def __init__(self, cls: type, questions: Questions, stack: tuple[str, ...] = ()) -> None:
        self._cls = cls
        self._questions = questions
        self._stack = stack

    def effects(self, method: str, behind: type | None, given: Mapping[str, object]) -> Effects:
        found = definition(self._cls, method, behind)
        if found is None or len(self._stack) >= _DEEPEST:
            return NO_EFFECT
        holder, node = found
        label = f"{holder.__qualname__}.{method}"
        if label in self._stack:
            return NO_EFFECT
        inside = _Method(self._cls, self._questions, (*self._stack, label))
        facts = Facts(self._questions, node, given)
        return _Statements(inside, holder, locals_of(node), facts).flow(node.body).whole

    def called(
        self, method: str, behind: type | None, call: ast.Call | None, facts: Facts
    ) -> Effects | None:
        """Return the effect of calling a method; None if there is no such."""
        found = definition(self._cls, method, behind)
        if found is None:
            return None
        return self.effects(method, behind, arguments_of(found[1], call, facts))


class _Statements:
    """Follows the statements of one method."""

    def __init__(self, inside: _Method, holder: type, names: Locals, facts: Facts) -> None:
        self._inside = inside
        self._holder = holder
        self._locals = names
        self._facts = facts

    def flow(self, statements: Iterable[ast.stmt]) -> Flow:
        """Return the flow of a block."""
        flow = Flow(NO_EFFECT)
        for statement in statements:
            if flow.onward is None:
                break
            step = self._statement(statement).after(flow.onward)
            flow = Flow(None, flow.returned, flow.loop_left).or_else(step)
        return flow

    def _statement(self, node: ast.stmt) -> Flow:
        match node:
            case ast.Return(value=value):
                return Flow(None, self._of(value))
            case ast.Raise():
                return Flow()
            case ast.Break() | ast.Continue():
                return Flow(None, None, NO_EFFECT)
            case ast.If(test=test, body=body, orelse=orelse):
                self._facts.forget([test])
                return self._branches(test, body, orelse).after(self._test(test))
            case ast.With(items=items, body=body):
                self._facts.forget(items)
                return self.flow(body).after(self._all(item.context_expr for item in items))
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._facts.forget([value])
                self._facts.bind(name, value)
                return Flow(self._bound(value))
            case _:
                # What is done several times or perhaps makes no name certain, before or after.
                self._facts.forget([node])
                flow = self._unsteady(node)
                self._facts.forget([node])
                return flow

    def _unsteady(self, node: ast.stmt) -> Flow:
        match node:
            case ast.For(iter=head, body=body, orelse=orelse):
                return self._loop(self._of(head), body, orelse)
            case ast.While(test=head, body=body, orelse=orelse):
                return self._loop(self._test(head), body, orelse)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=last):
                flow = self.flow([*body, *orelse])
                for handler in handlers:
                    self._facts.forget([node])
                    flow = flow.or_else(self.flow(handler.body))
                self._facts.forget([node])
                return flow.before(self.flow(last).whole)
            case ast.FunctionDef(body=body):
                return self._inner(body)
            case ast.ClassDef():
                return Flow(NO_EFFECT)
            case ast.Assign(value=value):
                return Flow(self._bound(value))
            case _:
                return Flow(self._all(ast.iter_child_nodes(node)))

    def _inner(self, body: list[ast.stmt]) -> Flow:
        """Return the flow of a function inside, which may be called at any time."""
        now, self._facts.now = self._facts.now, {}
        whole = self.flow(body).whole
        self._facts.now = now
        return Flow(whole)

    def _branches(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> Flow:
        truth = self._facts.truth(test)
        if truth is None:
            return self._either(body, orelse)
        return self.flow(body if truth else orelse)

    def _either(self, body: list[ast.stmt], orelse: list[ast.stmt]) -> Flow:
        before = self._facts.now
        taken, now = self.flow(body), self._facts.now
        self._facts.now = before
        other = self.flow(orelse)
        if other.onward is None:
            self._facts.now = now
        elif taken.onward is not None:
            self._facts.now = either_now(now, self._facts.now)
        return taken.or_else(other)

    def _loop(self, head: Effects, body: list[ast.stmt], orelse: list[ast.stmt]) -> Flow:
        turn = self.flow(body)
        # What two turns can do together is all that more turns can: there are but two deeds.
        once = either(NO_EFFECT, Flow(turn.onward, None, turn.loop_left).whole)
        turns = Flow(then(once, once), turn.returned)
        return turns.or_else(self.flow(orelse).after(then(once, once))).after(head)

    def _bound(self, value: ast.expr) -> Effects:
        """Return the effect of an expression that is only given a name."""
        if isinstance(value, ast.Tuple):
            return _in_turn(self._bound(part) for part in value.elts)
        return NO_EFFECT if self._locals.chains(value) else self._of(value)

    def _all(self, nodes: Iterable[ast.AST]) -> Effects:
        return _in_turn(self._of(node) for node in nodes)

    def _test(self, node: ast.expr) -> Effects:
        """Return the effect of asking whether an expression is true."""
        match node:
            case ast.BoolOp(values=values):
                return _in_turn(self._test(value) for value in values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._test(operand)
            case _:
                return self._bound(node)

    def _of(self, node: ast.AST | None) -> Effects:
        """Return the effect of an expression whose value is used."""
        match node:
            case None:
                return NO_EFFECT
            case ast.Call():
                return self._call(node)
            case ast.Attribute() | ast.Subscript() | ast.Name():
                return self._part_of_self(node)
            case ast.Compare(ops=ops) if all(isinstance(op, (ast.Is, ast.IsNot)) for op in ops):
                return _in_turn(self._bound(part) for part in (node.left, *node.comparators))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return then(self._test(test), self._choice(test, body, orelse))
            case _:
                return self._all(ast.iter_child_nodes(node))

    def _choice(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Effects:
        truth = self._facts.truth(test)
        if truth is None:
            return either(self._of(body), self._of(orelse))
        return self._of(body if truth else orelse)

    def _part_of_self(self, node: ast.Attribute | ast.Subscript | ast.Name) -> Effects:
        if not isinstance(node.ctx, ast.Load):
            return NO_EFFECT
        chains = self._locals.chains(node)
        if not chains:
            return self._all(ast.iter_child_nodes(node))
        return self._any(chains)

    def _call(self, node: ast.Call) -> Effects:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        if _name(node.func) in _ASKING and not self._is_method(node.func):
            asked = _in_turn(self._bound(argument) for argument in arguments)
            return then(self._owner(node.func), asked)
        return then(self._called(node), self._all(arguments))

    def _owner(self, function: ast.expr) -> Effects:
        return self._of(function.value) if isinstance(function, ast.Attribute) else NO_EFFECT

    def _is_method(self, function: ast.expr) -> bool:
        return any(len(chain) == 1 for chain in self._locals.chains(function))

    def _called(self, call: ast.Call) -> Effects:
        match call.func:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=method):
                return self._inside.called(method, self._holder, call, self._facts) or NO_EFFECT
        chains = self._locals.chains(call.func)
        return self._any(chains, call) if chains else self._of(call.func)

    def _any(self, chains: Chains, call: ast.Call | None = None) -> Effects:
        """Return the effect of using, or of calling, one of `chains`."""
        return functools.reduce(either, (self._used(chain, call) for chain in sorted(chains)))

    def _used(self, chain: Path, call: ast.Call | None) -> Effects:
        if "weight" in chain[1:]:
            place = chain.index("weight", 1)
            asks = chain[place + 1 :][:1]
            return NO_EFFECT if asks and asks[0] in _QUERIES else one(chain[:place], Deed.READ)
        if len(chain) == 1:
            followed = self._inside.called(chain[0], None, call, self._facts)
            if followed is not None:
                return followed
        if chain[-1:] == ("forward",):
            return one(chain[:-1], Deed.CALLED)
        return one(chain, Deed.CALLED)


def _in_turn(effects: Iterable[Effects]) -> Effects:
    return functools.reduce(then, effects, NO_EFFECT)


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
