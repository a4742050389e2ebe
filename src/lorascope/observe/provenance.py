"""Which weights a tensor was made by, followed from storage to storage through one forward pass."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lorascope.core.paths import joined
from lorascope.observe.answers import ASKS_FOR_VALUES

PRODUCTS = frozenset(
    {
        "_grouped_mm",
        "_scaled_mm",
        "addbmm",
        "addmm",
        "addmv",
        "baddbmm",
        "bmm",
        "dot",
        "grouped_mm_fallback",
        "linear",
        "matmul",
        "mm",
        "mv",
    }
)
"""Names of the operators that multiply matrices."""

_ADDS_FIRST = frozenset({"addbmm", "addmm", "addmv", "baddbmm"})
"""Products whose first argument is added to the product and no factor of it."""


@dataclass(frozen=True, slots=True)
class Weight:
    """Mark of a weight, a view or a copy of it."""

    path: str
    """Full name of the module, or of the expert parameter."""


@dataclass(frozen=True, slots=True)
class Output:
    """Mark of what a weight made: the product of an activation and that weight."""

    path: str
    """Full name of the module, or of the expert parameter."""


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Mark of the product of two activations; the earliest one of an attention is q·k.

    Compared by identity: there may be thousands, and each product has its own.
    """

    number: int
    left: frozenset[str]
    right: frozenset[str]


@dataclass(frozen=True, slots=True)
class Probability:
    """Mark of a softmax over scores."""

    score: Score


@dataclass(frozen=True, slots=True)
class Attended:
    """Mark of the output of one attention."""

    number: int


Mark = Weight | Output | Score | Probability | Attended
Marks = frozenset[Mark]

_NONE: Marks = frozenset()


@dataclass(frozen=True, slots=True)
class Attention:
    """One attention that was seen: which layers made its query, key and value."""

    number: int
    query: frozenset[str]
    key: frozenset[str]
    value: frozenset[str]
    module: str | None = None
    """Full name of the module that called the attention interface; None for a bare product."""


@dataclass(slots=True)
class Trace:
    """What one forward pass showed."""

    attentions: list[Attention] = field(default_factory=list)
    reads: dict[str, set[Mark]] = field(default_factory=dict)
    """Path of a weight → marks of the activations that were multiplied with it."""
    readers: dict[int, str] = field(default_factory=dict)
    """Number of an attention → path of the first weight that read its output."""
    order: dict[str, int] = field(default_factory=dict)
    """Path of a weight → position of its first product."""


class OutOfTimeError(Exception):
    """The forward pass took longer than it was given; what was seen until then still counts."""


class Provenance(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch is not typed here
    """While active, hands marks on from every operator's inputs to its outputs."""

    def __init__(self, weights: Mapping[str, torch.Tensor], seconds: float) -> None:
        """Mark the weights.

        Args:
            weights: Path of a module or expert parameter → its weight.
            seconds: After so long the next operator raises `OutOfTimeError`.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._deadline = time.monotonic() + seconds
        self.trace = Trace()
        self.active: list[str] = []
        """Paths of the modules whose forward is running, the innermost last."""
        self._marks: dict[StorageWeakRef, Marks] = {}
        self._scores = 0
        for path, weight in weights.items():
            # Tied weights are one storage; which of its modules reads it is asked at each product.
            self._mark(weight, frozenset({Weight(path)}))

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the operator, then mark what it returned."""
        if time.monotonic() > self._deadline:
            raise OutOfTimeError
        name = func.overloadpacket.__name__
        if name in ASKS_FOR_VALUES and args[0].is_meta:
            result = ASKS_FOR_VALUES[name](args[0])
        else:
            result = func(*args, **(kwargs or {}))
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        marks = self._result_marks(name, inputs)
        if marks:
            for output in tree_leaves(result):
                if isinstance(output, torch.Tensor):
                    self._mark(output, marks)
        return result

    def marks(self, tensor: torch.Tensor) -> Marks:
        """Return what is known of `tensor`."""
        return self._marks.get(_storage(tensor), _NONE)

    def outputs(self, tensor: torch.Tensor) -> frozenset[str]:
        """Return the paths of the weights that made `tensor`."""
        return _output_paths(self.marks(tensor))

    def attend(
        self,
        query: frozenset[str],
        key: frozenset[str],
        value: frozenset[str],
        module: str | None = None,
    ) -> Marks:
        """Note an attention and return the mark of its output."""
        number = len(self.trace.attentions)
        self.trace.attentions.append(Attention(number, query, key, value, module))
        return frozenset({Attended(number)})

    def replace(self, tensor: torch.Tensor, marks: Marks) -> None:
        """Mark `tensor` with `marks` and nothing else."""
        self._marks[_storage(tensor)] = marks

    def _mark(self, output: torch.Tensor, marks: Marks) -> None:
        # An operator in place, or a view, keeps what its storage already carried.
        key = _storage(output)
        self._marks[key] = marks | self._marks.get(key, _NONE)

    def _result_marks(self, name: str, inputs: Sequence[torch.Tensor]) -> Marks:
        known = [self.marks(tensor) for tensor in inputs]
        if name.startswith("_scaled_dot_product"):
            query, key, value = (_output_paths(marks) for marks in known[:3])
            return self.attend(query, key, value)
        if name in PRODUCTS:
            factors = known[1:3] if name in _ADDS_FIRST else known[:2]
            if len(factors) == 2:
                return self._product_marks(*factors)
        union: Marks = frozenset().union(*known)
        if name == "_softmax":
            return _softmax_marks(union)
        return union

    def _product_marks(self, left: Marks, right: Marks) -> Marks:
        weights = _weights(left), _weights(right)
        if any(weights):
            paths = self._running(weights[1] or weights[0])
            activation = left if weights[1] else right
            self._note_read(paths, activation)
            return frozenset(Output(path) for path in paths)
        for probability, other in ((left, right), (right, left)):
            found = [mark for mark in probability if isinstance(mark, Probability)]
            if found:
                score = min((mark.score for mark in found), key=lambda score: score.number)
                return self.attend(score.left, score.right, _output_paths(other))
        if not (left and right):
            return left | right
        self._scores += 1
        score = Score(self._scores, _output_paths(left), _output_paths(right))
        return left | right | frozenset({score})

    def _running(self, paths: frozenset[str]) -> frozenset[str]:
        """Of several modules that share a weight, return the one whose forward is running."""
        if len(paths) == 1 or not self.active:
            return paths
        inside = frozenset(path for path in paths if f"{path}.".startswith(f"{self.active[-1]}."))
        return inside or paths

    def _note_read(self, paths: frozenset[str], activation: Marks) -> None:
        for path in paths:
            self.trace.order.setdefault(path, len(self.trace.order))
            self.trace.reads.setdefault(path, set()).update(activation)
            for mark in activation:
                if isinstance(mark, Attended):
                    self.trace.readers.setdefault(mark.number, path)


def _softmax_marks(marks: Marks) -> Marks:
    scores = [mark for mark in marks if isinstance(mark, Score)]
    if not scores:
        return marks
    return frozenset({Probability(min(scores, key=lambda score: score.number))})


def _weights(marks: Marks) -> frozenset[str]:
    return frozenset(mark.path for mark in marks if isinstance(mark, Weight))


def _output_paths(marks: Marks) -> frozenset[str]:
    return frozenset(mark.path for mark in marks if isinstance(mark, Output))


def _storage(tensor: torch.Tensor) -> StorageWeakRef:
    # The weak reference keeps the address of a freed storage from being given to a new one.
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]  # as above


def linear_weights(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield path and weight of everything that multiplies: 2-D weights and stacks of experts.

    An embedding only looks up; a parameter that is not called `weight` is named in full.
    """
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.Embedding):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() not in (2, 3) or min(parameter.shape) <= 1 or "bias" in name:
                continue
            full = joined(path, name)
            own = name == "weight" and parameter.dim() == 2
            yield (path if own else full), parameter
