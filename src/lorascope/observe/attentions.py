"""Find every attention among the steps of a forward pass: pure, no tensor in sight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lorascope.observe.flow import ATTENTION, PRODUCTS, Flow, Step

_FUSED = "_scaled_dot_product"
"""How the names of all operators begin that are a whole attention."""


@dataclass(frozen=True, slots=True)
class Output:
    """Mark of what a layer made."""

    path: str


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


Mark = Output | Score | Probability | Attended
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
    """What the marks of one forward pass showed."""

    attentions: list[Attention] = field(default_factory=list)
    reads: dict[str, set[Mark]] = field(default_factory=dict)
    """Path of a layer → marks of the activations that it read."""
    readers: dict[int, str] = field(default_factory=dict)
    """Number of an attention → path of the first layer that read its output."""
    order: dict[str, int] = field(default_factory=dict)
    """Path of a layer → position of its first product."""
    _children: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note(self, path: str, activation: Marks) -> None:
        """Note that a layer read an activation with these marks."""
        if path not in self.order:
            self.order[path] = len(self.order)
            self._children[path.rpartition(".")[0]].append(path)
        self.reads.setdefault(path, set()).update(activation)
        for mark in activation:
            if isinstance(mark, Attended):
                self.readers.setdefault(mark.number, path)

    def siblings(self, path: str) -> Iterator[str]:
        """Yield the other layers that the same module holds, in the order they first ran."""
        return (other for other in self._children[path.rpartition(".")[0]] if other != path)


def attentions_of(flow: Flow) -> Trace:
    """Hand marks on from step to step and return what they showed."""
    follower = _Follower()
    for step in flow.steps:
        follower.follow(step)
    return follower.trace


class _Follower:
    def __init__(self) -> None:
        self.trace = Trace()
        self._marks: list[Marks] = []
        self._scores = 0

    def follow(self, step: Step) -> None:
        self._marks.append(self._marks_of(step, [self._marks[read.value] for read in step.reads]))

    def _marks_of(self, step: Step, known: Sequence[Marks]) -> Marks:
        if step.layer is not None and step.name == "embedding":
            return _NONE
        if step.layer is not None and not step.mixes:
            self.trace.note(step.layer, _union(known))
            return frozenset({Output(step.layer)})
        if step.name.startswith(_FUSED):
            query, key, value = (_output_paths(marks) for marks in known[:3])
            if not query:
                # A learned query only weighs what is there, as where layers' outputs are pooled.
                return _union(known)
            return self._attend(query, key, value, step.module if step.name == ATTENTION else None)
        if step.name in PRODUCTS and len(known) == 2:
            return self._product_marks(*known)
        if step.name in ("_softmax", "_safe_softmax"):
            return _softmax_marks(_union(known))
        return _union(known)

    def _attend(
        self,
        query: frozenset[str],
        key: frozenset[str],
        value: frozenset[str],
        module: str | None = None,
    ) -> Marks:
        number = len(self.trace.attentions)
        self.trace.attentions.append(Attention(number, query, key, value, module))
        return frozenset({Attended(number)})

    def _product_marks(self, left: Marks, right: Marks) -> Marks:
        for probability, other in ((left, right), (right, left)):
            found = [mark for mark in probability if isinstance(mark, Probability)]
            if found:
                score = min((mark.score for mark in found), key=lambda score: score.number)
                return self._attend(score.left, score.right, _output_paths(other))
        if not (left and right):
            return left | right
        self._scores += 1
        score = Score(self._scores, _output_paths(left), _output_paths(right))
        return left | right | frozenset({score})


def _softmax_marks(marks: Marks) -> Marks:
    scores = [mark for mark in marks if isinstance(mark, Score)]
    if not scores:
        return marks
    return frozenset({Probability(min(scores, key=lambda score: score.number))})


def _output_paths(marks: Marks) -> frozenset[str]:
    return frozenset(mark.path for mark in marks if isinstance(mark, Output))


def _union(known: Sequence[Marks]) -> Marks:
    return known[0] if len(known) == 1 else _NONE.union(*known)
