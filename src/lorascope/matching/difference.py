"""What differs between two LoRA configurations, each worked out on its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isclose
from typing import Any

from lorascope.core.errors import IncomparableError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching.configured import Configured
from lorascope.matching.counts import module_tensors
from lorascope.matching.result import MatchedTarget, Reason, SavedModule

DORA = "DoRA"
LORA_BIAS = "lora_bias"
TIED = "tied"
"""Adapted together with the module whose weight it shares."""

_SAME_SCALE = 1e-6
"""Relative; beyond it a scale is another one."""
_TRAINING = ("lora_dropout", "init_lora_weights")
_INITIALIZATIONS = {
    "loftq_config": "loftq",
    "eva_config": "eva",
    "corda_config": "corda",
    "lora_ga_config": "lora_ga",
}
"""Further fields of PEFT's that say how the weights start → beginning of `init_lora_weights` with
which PEFT reads them. Source: peft 0.21.2, `update_layer` in `tuners/lora/layer.py`."""
_ANY_CASE = frozenset({"gaussian", "olora", "mica"})
"""Initializations that PEFT reads in any case. Source: the same, `reset_lora_parameters`, too."""
_SETS = frozenset({"target_modules", "exclude_modules", "modules_to_save", "layers_to_transform"})
"""Fields whose order says nothing."""
_NO_FIELDS = frozenset({"unmodelled", *_TRAINING})


class Aspect(StrEnum):
    """In what one module is adapted otherwise."""

    RANK = "rank"
    ALPHA = "alpha"
    SCALE = "scale"
    VARIANTS = "variants"
    PARAMS = "params"


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How one module or parameter is adapted."""

    path: str
    role: str
    """Of the module, or of the one that holds the parameter; empty if neither is listed."""
    is_parameter: bool
    rank: int
    alpha: float
    scaling: float
    params: int
    variants: tuple[str, ...] = ()
    """What is added to plain LoRA here: `DORA`, `LORA_BIAS`, `TIED`."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One module or parameter that both adapt, and otherwise."""

    a: Adaptation
    b: Adaptation
    aspects: tuple[Aspect, ...]
    """At least one that is not `ALPHA`: another alpha at the same scale is spelling."""


@dataclass(frozen=True, slots=True)
class TokensChanged:
    """One embedding of which other rows are trained."""

    path: str
    a: tuple[int, ...]
    """Indices of the rows, sorted; empty for none."""
    b: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One of PEFT's fields that holds another value."""

    field: str
    a: Any
    """As PEFT holds it; None if it is not given."""
    b: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two configurations."""

    a: Configured
    b: Configured
    only_a: tuple[Adaptation, ...]
    """What A adapts and B does not, in A's order."""
    only_b: tuple[Adaptation, ...]
    changed: tuple[Changed, ...]
    """What both adapt with another effect, in A's order."""
    alike: tuple[Adaptation, ...]
    """What both adapt to the same effect, as A does it."""
    saved_only_a: tuple[SavedModule, ...] = ()
    """Modules trained and saved whole that are not so in B, or are tied in one and not in both."""
    saved_only_b: tuple[SavedModule, ...] = ()
    tokens: tuple[TokensChanged, ...] = ()
    training: tuple[FieldDifference, ...] = ()
    """Of dropout and initialization, which change how an adapter is trained and not what it is."""
    spelling: tuple[FieldDifference, ...] = ()
    """Of all other fields that decide what is adapted and how, whether that has an effect or
    not."""
    notes: tuple[str, ...] = ()
    """What a reader must know of the comparison, one sentence each."""

    @property
    def is_same(self) -> bool:
        """Whether both adapt the same and train it alike: what the exit code 0 says."""
        return self.adapts_alike and self.trains_alike

    @property
    def adapts_alike(self) -> bool:
        """Whether both make an adapter of the same modules, ranks, scales and parameters."""
        others = (self.saved_only_a, self.saved_only_b, self.tokens)
        modules = (self.only_a, self.only_b, self.changed)
        return not any((*modules, *others, self.has_other_biases, self.has_other_count))

    @property
    def trains_alike(self) -> bool:
        """Whether dropout and initialization are the same."""
        return not self.training

    @property
    def is_spelled_alike(self) -> bool:
        """Whether no field that decides what is adapted holds another value."""
        return not self.spelling

    @property
    def has_other_biases(self) -> bool:
        """Whether `bias` trains other bias terms of the base model."""
        # What lora_only trains is among what all trains, so that the same number is the same set.
        return self.a.match.bias_params != self.b.match.bias_params

    @property
    def has_other_count(self) -> bool:
        """Whether the number of trained parameters differs."""
        return self.a.match.trainable_params != self.b.match.trainable_params


def difference(a: Configured, b: Configured, notes: tuple[str, ...] = ()) -> Difference:
    """Compare two configurations by what they do.

    Args:
        a: The one.
        b: The other.
        notes: What a reader must know already.

    Raises:
        IncomparableError: They are for models of different modules.
    """
    notes = (*notes, *_model_notes(a.inventory, b.inventory))
    in_a, in_b = _adaptations(a), _adaptations(b)
    changed: list[Changed] = []
    alike: list[Adaptation] = []
    for place, one in in_a.items():
        other = in_b.get(place)
        if other is None:
            continue
        aspects = tuple(_aspects(one, other))
        if any(aspect is not Aspect.ALPHA for aspect in aspects):
            changed.append(Changed(one, other, aspects))
        else:
            alike.append(one)
    saved_a, saved_b = ({(s.path, s.params): s for s in side.match.saved} for side in (a, b))
    return Difference(
        a=a,
        b=b,
        only_a=tuple(one for place, one in in_a.items() if place not in in_b),
        only_b=tuple(one for place, one in in_b.items() if place not in in_a),
        changed=tuple(changed),
        alike=tuple(alike),
        saved_only_a=tuple(saved for key, saved in saved_a.items() if key not in saved_b),
        saved_only_b=tuple(saved for key, saved in saved_b.items() if key not in saved_a),
        tokens=_tokens(a, b),
        training=tuple(_training(a, b)),
        spelling=(*_spelling(a.spec, b.spec), *_idle(a, b)),
        notes=notes,
    )


def _model_notes(a: Inventory, b: Inventory) -> tuple[str, ...]:
    """Say where the two models are not quite one.

    Raises:
        IncomparableError: Their modules differ, and not for another task of one model alone.
    """
    if a is b:
        return ()
    names = {each.model.base_model or each.model.reference for each in (a, b)}
    in_a, in_b = _shapes(a), _shapes(b)
    if in_a == in_b:
        if len(names) == 1:
            return ()
        who = f"A is for {a.model.reference}, B for {b.model.reference}"
        return (f"{who}; their modules have the same names and shapes.",)
    if len(names) == 1 and a.model.cls != b.model.cls:
        return (
            f"A is for {a.model.cls}, B for {b.model.cls} of the same model; modules are compared"
            " by name.",
        )
    raise IncomparableError(
        f"A is for {a.model.reference} ({a.model.cls}), B for {b.model.reference}"
        f" ({b.model.cls}), whose modules are not the same: {_first_other(in_a, in_b)}.",
        "Name one model to compare both on: lorascope diff A B MODEL, or model=… in Python.",
    )


_Shape = tuple[object, ...]


def _shapes(inventory: Inventory) -> dict[str, _Shape]:
    return {each.path: _shape(each) for each in inventory.adaptable}


def _shape(module: Module) -> _Shape:
    return (module.kind, module.in_features, module.out_features, module.experts, module.kernel)


def _first_other(a: Mapping[str, _Shape], b: Mapping[str, _Shape]) -> str:
    """Give one example of a module that the two models do not share."""
    for here, there, side in ((a, b, "A"), (b, a, "B")):
        missing = next((path for path in here if path not in there), None)
        if missing is not None:
            return f"only that of {side} has {missing}"
    path = next(path for path in a if a[path] != b[path])
    (_, in_a, out_a, *_), (_, in_b, out_b, *_) = a[path], b[path]
    return f"{path} has {in_a} inputs and {out_a} outputs in A, {in_b} and {out_b} in B"


def _adaptations(side: Configured) -> dict[tuple[str, int], Adaptation]:
    """Return what is adapted by path; what is adapted twice stands there twice.

    A linear that is adapted by its weight stands there as if it were adapted as a module: PEFT
    names it so where it would rewrite the module's name, and the LoRA weights are the same.
    """
    found: dict[tuple[str, int], Adaptation] = {}
    known: dict[tuple[object, ...], tuple[str, ...]] = {}
    for target in side.match.targets:
        module = side.inventory.by_path.get(target.path)
        path = target.path
        if module is None and target.is_parameter:
            holder, _, name = path.rpartition(".")
            module = side.inventory.by_path.get(holder)
            is_linear = module is not None and module.kind is Kind.LINEAR
            path = holder if is_linear and name == "weight" else path
        if target.is_parameter or module is None:
            variants: tuple[str, ...] = ()
        else:
            kind = (module.kind, target.reason is Reason.TIED)
            if kind not in known:
                known[kind] = tuple(_variants(target, module, side.match.effective))
            variants = known[kind]
        number = 0
        while (path, number) in found:
            number += 1
        found[path, number] = Adaptation(
            path=target.path,
            role="" if module is None else str(module.role),
            is_parameter=target.is_parameter,
            rank=target.rank,
            alpha=target.alpha,
            scaling=target.scaling,
            params=target.params,
            variants=variants,
        )
    return found


def _variants(target: MatchedTarget, module: Module, spec: LoraSpec) -> Iterator[str]:
    names = [tensor.name for tensor in module_tensors(module, target.rank, spec)]
    if any("magnitude" in name for name in names):
        yield DORA
    if any(name.endswith(".bias") for name in names):
        yield LORA_BIAS
    if target.reason is Reason.TIED:
        yield TIED


def _aspects(a: Adaptation, b: Adaptation) -> Iterator[Aspect]:
    if a.rank != b.rank:
        yield Aspect.RANK
    if a.alpha != b.alpha:
        yield Aspect.ALPHA
    if not isclose(a.scaling, b.scaling, rel_tol=_SAME_SCALE):
        yield Aspect.SCALE
    if a.variants != b.variants:
        yield Aspect.VARIANTS
    if a.params != b.params:
        yield Aspect.PARAMS


def _tokens(a: Configured, b: Configured) -> tuple[TokensChanged, ...]:
    in_a, in_b = _rows(a), _rows(b)
    paths = dict.fromkeys((*in_a, *in_b))
    both = (TokensChanged(path, in_a.get(path, ()), in_b.get(path, ())) for path in paths)
    return tuple(each for each in both if each.a != each.b)


def _rows(side: Configured) -> dict[str, tuple[int, ...]]:
    """Return the rows that are trained of each embedding, by its path."""
    stated = side.spec.trainable_token_indices or ()
    if not isinstance(stated, Mapping):
        return {each.path: _in_order(stated) for each in side.match.trained_tokens}
    tied_to = side.inventory.model.input_embedding or ""
    rows = {}
    for each in side.match.trained_tokens:
        named = [stated[name] for name in stated if each.path.endswith(name)]
        # What is tied shares the rows of the embedding.
        named += [stated[name] for name in stated if tied_to.endswith(name)]
        rows[each.path] = _in_order(named[0]) if named else ()
    return rows


def _in_order(indices: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(indices)))


def _training(a: Configured, b: Configured) -> Iterator[FieldDifference]:
    for name in _TRAINING:
        in_a, in_b = getattr(a.spec, name), getattr(b.spec, name)
        if _cased(in_a) != _cased(in_b):
            yield FieldDifference(name, in_a, in_b)
    for name in _INITIALIZATIONS:
        in_a, in_b = _config(a, name), _config(b, name)
        if in_a != in_b and (_is_read(a, name) or _is_read(b, name)):
            yield FieldDifference(name, in_a, in_b)


def _idle(a: Configured, b: Configured) -> Iterator[FieldDifference]:
    """Return what is said of the start in other words, or not read by either."""
    starts = a.spec.init_lora_weights, b.spec.init_lora_weights
    if starts[0] != starts[1] and _cased(starts[0]) == _cased(starts[1]):
        yield FieldDifference("init_lora_weights", *starts)
    for name in _INITIALIZATIONS:
        in_a, in_b = _config(a, name), _config(b, name)
        if in_a != in_b and not (_is_read(a, name) or _is_read(b, name)):
            yield FieldDifference(name, in_a, in_b)


def _config(side: Configured, name: str) -> Any:
    return side.fields.get(name) or None


def _is_read(side: Configured, name: str) -> bool:
    return str(side.spec.init_lora_weights).startswith(_INITIALIZATIONS[name])


def _cased(value: Any) -> Any:
    is_any_case = isinstance(value, str) and value.lower() in _ANY_CASE
    return value.lower() if is_any_case else value


def _spelling(a: LoraSpec, b: LoraSpec) -> Iterator[FieldDifference]:
    for name in LoraSpec.__dataclass_fields__:
        in_a, in_b = getattr(a, name), getattr(b, name)
        if name not in _NO_FIELDS and _plain(name, in_a) != _plain(name, in_b):
            yield FieldDifference(name, in_a, in_b)


def _plain(name: str, value: Any) -> Any:
    """Return a value without what says nothing: order of a set, nothing given in other words."""
    if isinstance(value, Mapping):
        return list(value.items()) or None  # of two patterns that fit, the first decides
    if isinstance(value, tuple) and name in _SETS:
        return frozenset(value) if value or name == "target_modules" else None
    return None if value == () else value
