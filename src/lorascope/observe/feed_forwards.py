"""Find every feed-forward block among the steps of a forward pass: pure, no tensor in sight.

A feed-forward works on each position alone. Its last layer reads either an activation function of
one layer's output, or the product of two outputs of which one passed an activation function. What
it makes is added to what the block read; without a product, this alone tells it from a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from lorascope.observe.flow import PRODUCTS, Flow, Part, Read, Step

_ACTIVATIONS = frozenset(
    {
        "_prelu_kernel",
        "celu",
        "elu",
        "erf",
        "exp",
        "expm1",
        "gelu",
        "hardsigmoid",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "log_sigmoid_forward",
        "mish",
        "relu",
        "selu",
        "sigmoid",
        "silu",
        "softplus",
        "tanh",
        "threshold",
    }
)
"""Operators that an activation function is, or is made of: x·σ(1.702·x), x·(1 + tanh(…))/2."""

_CHOOSES = frozenset({"argmax", "max", "sort", "topk"})
"""Operators that choose experts by their scores."""

_ADDS = frozenset({"add", "addcmul", "index_add", "scatter_add", "sub"})

_MOVES_POSITIONS = frozenset({"cumprod", "cumsum", "flip", "roll"})

_COPIES = frozenset({"_to_copy", "_unsafe_view", "clone", "index", "index_select", "masked_select"})
"""Operators whose output is what they read, or some positions of it."""

_FAR, _NEAR = 300, 12
"""Steps looked back from a block's input, and from what its output is added to."""


@dataclass(frozen=True, slots=True)
class FeedForward:
    """One feed-forward block."""

    gate: str | None
    """Layer whose output passes the activation function; None if nothing is multiplied with it."""
    up: str
    """The other factor; the same layer as `gate` if one makes both."""
    down: str


@dataclass(slots=True)
class FeedForwards:
    """What one forward pass showed of feed-forward blocks."""

    blocks: dict[str, FeedForward] = field(default_factory=dict)
    """Path of the last layer → its block, for those whose output is added to what it read."""
    choosers: set[str] = field(default_factory=set)
    """Layers whose output alone says what is chosen."""
    weighed: dict[str, str] = field(default_factory=dict)
    """Last layer of a block → the layer whose output its own is multiplied with."""
    summed: list[frozenset[str]] = field(default_factory=list)
    """Last layers whose outputs are added to each other."""
    inputs: dict[str, int] = field(default_factory=dict)
    """Layer → number of the value it read, or of what that is a copy or a selection of."""


def feed_forwards_of(flow: Flow) -> FeedForwards:
    """Follow from step to step what each value was made of, and return the blocks seen."""
    follower = _Follower(flow.steps)
    for step in flow.steps:
        follower.follow(step)
    return follower.seen


@dataclass(frozen=True, slots=True)
class _Made:
    """How a value was made of layers' outputs, as far as each position was made alone."""

    sources: frozenset[tuple[str, Part | None]] = frozenset()
    """Layers, and which part of their output."""
    bent: bool = False
    """Whether it passed an activation function."""
    gate: str | None = None
    """If it is a product of two outputs, the layer of the one that was bent."""
    tangled: bool = False
    """Whether outputs of several layers were added, or positions mixed."""

    @property
    def is_constant(self) -> bool:
        return not self.sources and not self.tangled

    @property
    def layers(self) -> frozenset[str]:
        return frozenset(layer for layer, _ in self.sources)

    @property
    def only_layer(self) -> str | None:
        """The layer whose output alone it was made of."""
        if self.tangled or self.gate is not None:
            return None
        layers = self.layers
        return next(iter(layers)) if len(layers) == 1 else None


_CONSTANT = _Made()
_MIXED = _Made(tangled=True)


class _Follower:
    def __init__(self, steps: Sequence[Step]) -> None:
        self.seen = FeedForwards()
        self._steps = steps
        self._made: list[_Made] = []
        self._read_by: dict[str, int] = {}
        """Layer → number of the value it read."""
        self._open: dict[str, FeedForward] = {}
        """Last layer → block whose output has not been added to anything yet."""
        self._before: dict[int, frozenset[int]] = {}

    def follow(self, step: Step) -> None:
        parts = [_part_of(self._made[read.value], read.part) for read in step.reads]
        self._made.append(self._made_by(step, parts))

    def _made_by(self, step: Step, parts: Sequence[_Made]) -> _Made:
        if step.layer is not None:
            return self._layer(step, step.layer, parts)
        name = step.name.rstrip("_")
        made = _together(parts)
        if name in _ACTIVATIONS:
            return replace(made, bent=True)
        if name == "glu" and (layer := made.only_layer) is not None:
            return replace(made, gate=layer)
        if name in _CHOOSES and made.only_layer is not None:
            self.seen.choosers.add(made.only_layer)
        if len(parts) == 2:
            if name == "mul":
                return self._product(*parts)
            if name in PRODUCTS:
                return _MIXED
        if _adds(step):
            self._note_sum(step.reads, parts)
        if name in _MOVES_POSITIONS or "attention" in name:
            return _MIXED
        return made

    def _layer(self, step: Step, layer: str, parts: Sequence[_Made]) -> _Made:
        if step.reads and not step.mixes:
            value = step.reads[0].value
            self._read_by.setdefault(layer, value)
            self.seen.inputs.setdefault(layer, self._original(value))
            self._note_last(layer, parts[0])
        if step.mixes:
            return _together([*parts, _Made(frozenset({(layer, None)}), tangled=True)])
        return _Made(frozenset({(layer, None)}))

    def _note_last(self, down: str, made: _Made) -> None:
        if made.tangled or not made.bent or down in self.seen.blocks:
            return
        others = made.layers - {made.gate}
        if made.gate is None:
            up = made.only_layer
        else:
            up = next(iter(others)) if len(others) == 1 else made.gate
        if up is None or up not in self._read_by or down in made.layers:
            return
        block = FeedForward(made.gate, up, down)
        if made.gate is not None and any(part.isdigit() for part in down.split(".")):
            # Inside a numbered block nothing else multiplies two outputs so.
            self.seen.blocks[down] = block
        self._open[down] = block

    def _product(self, left: _Made, right: _Made) -> _Made:
        if left.is_constant or right.is_constant:
            return right if left.is_constant else left
        for one, other in ((left, right), (right, left)):
            last, weight = one.only_layer, other.only_layer
            if last in self._open and last is not None and weight not in (None, last):
                self.seen.weighed.setdefault(last, weight)
                return one
        if left.tangled != right.tangled:
            # What one layer made weighs the sum of what several made.
            return left if left.tangled else right
        made = _together((left, right))
        if left.sources == right.sources:
            return made
        first, second = left.only_layer, right.only_layer
        is_fused = first == second and left.bent
        if first is None or second is None or (left.bent == right.bent and not is_fused):
            # Nothing tells which of two layers is the gate.
            return replace(made, tangled=True)
        return _Made(left.sources | right.sources, bent=True, gate=first if left.bent else second)

    def _note_sum(self, reads: Sequence[Read], parts: Sequence[_Made]) -> None:
        """Close the blocks whose output is added to what they read."""
        waiting = [made.layers & self._open.keys() for made in parts]
        together = frozenset().union(*waiting)
        if sum(map(bool, waiting)) > 1 and len(together) > 1:
            self.seen.summed.append(together)
        for place, lasts in enumerate(waiting):
            others = [read.value for at, read in enumerate(reads) if at != place]
            for last in lasts:
                if any(self._is_input_of(self._open[last], value) for value in others):
                    self.seen.blocks[last] = self._open.pop(last)

    def _is_input_of(self, block: FeedForward, value: int) -> bool:
        before = self._values_before(self._read_by[block.up])
        return not before.isdisjoint(self._summands(value))

    def _original(self, value: int) -> int:
        step = self._steps[value]
        while step.name in _COPIES and len(step.reads) == 1:
            value = step.reads[0].value
            step = self._steps[value]
        return value

    def _summands(self, value: int) -> Iterator[int]:
        """Yield `value`, what it is a multiple or a copy of, and what it is a sum of."""
        return self._backwards(value, _NEAR, _keeps_a_summand)

    def _values_before(self, value: int) -> frozenset[int]:
        """Return the values that `value` was made of since the last layers."""
        if value not in self._before:
            self._before[value] = frozenset(self._backwards(value, _FAR, lambda _: True))
        return self._before[value]

    def _backwards(
        self, value: int, farthest: int, passes: Callable[[Step], bool]
    ) -> Iterator[int]:
        """Yield `value` and what it was made of, nearest first, up to the outputs of layers."""
        found = {value: None}
        pending = [value]
        for each in pending:
            yield each
            step = self._steps[each]
            if step.layer is None and len(found) < farthest and passes(step):
                new = {read.value: None for read in step.reads if read.value not in found}
                found.update(new)
                pending.extend(new)


def _keeps_a_summand(step: Step) -> bool:
    # Some residual streams are several, mixed by a product before the block's output is added.
    return len(step.reads) == 1 or _adds(step) or step.name in PRODUCTS


def _adds(step: Step) -> bool:
    return step.name.rstrip("_") in _ADDS


def _part_of(made: _Made, part: Part | None) -> _Made:
    if part is None or made.tangled or len(made.sources) != 1:
        return made
    ((layer, known),) = made.sources
    return made if known is not None else replace(made, sources=frozenset({(layer, part)}))


def _together(parts: Sequence[_Made]) -> _Made:
    """Return what is made of all `parts`, each position alone."""
    known = [made for made in parts if not made.is_constant]
    if len(known) < 2:
        return known[0] if known else _CONSTANT
    first = known[0]
    sources = first.sources.union(*(made.sources for made in known[1:]))
    same = all(made.layers == first.layers for made in known[1:])
    gates = {made.gate for made in known} - {None}
    return _Made(
        sources,
        bent=any(made.bent for made in known),
        gate=gates.pop() if len(gates) == 1 else None,
        tangled=not same or len(gates) > 1 or any(made.tangled for made in known),
    )
