"""What a trained adapter's file holds, pair by pair, if that is what its configuration says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lorascope.checking.stored_fit import PREFIX, Fit, bare_names, fit_of, normal_name
from lorascope.checking.subject import Subject
from lorascope.core.errors import AdapterError
from lorascope.core.numbers import counted
from lorascope.core.stored import StoredTensor
from lorascope.matching.result import MatchedTarget
from lorascope.matching.stored_tensors import Adapted, Tensor, lora_tensors
from lorascope.rewriting.layouts import ExpertLayout, expert_layout
from lorascope.rewriting.pairs import (
    EMBEDDING,
    LINEAR,
    Content,
    Extra,
    Factors,
    Pair,
    Part,
    whole_parts,
)

_MOST_NAMED = 5
_FLOATS = ("F64", "F32", "F16", "BF16")


def trained_content(subject: Subject) -> Content:
    """Return the pairs and other tensors of an adapter, as PEFT would load them.

    Args:
        subject: An adapter with stored tensors on its base model, not refused by PEFT.

    Raises:
        AdapterError: The tensors are not those that the configuration and the model call for.
    """
    _check_names(subject)
    stored = {normal_name(each.name): each for each in subject.stored or ()}
    reader = _Reader(subject, stored)
    pairs = tuple(reader.pairs())
    _check(subject, fit_of(subject), reader)
    return Content(pairs, tuple(reader.extras()))


def _check_names(subject: Subject) -> None:
    """Refuse names that PEFT would not load, or of which it would load one of two."""
    bare = bare_names(subject)
    if bare:
        raise AdapterError(
            f"{counted(len(bare), 'tensor')} of {subject.recipe.origin} named without {PREFIX} at "
            f"the start, {bare[0]} first: PEFT does not load them.",
            f"Put {PREFIX} before the name of each tensor, if that is what was trained.",
        )
    names: dict[str, str] = {}
    for tensor in subject.stored or ():
        other = names.setdefault(normal_name(tensor.name), tensor.name)
        if other != tensor.name:
            raise AdapterError(
                f"{subject.recipe.origin} has {other} and {tensor.name}, which PEFT loads into the "
                "same place.",
                "Take the one that was trained out of the file.",
            )


class _Reader:
    """Takes the tensors of one adapter apart, and knows which are not yet taken."""

    def __init__(self, subject: Subject, stored: Mapping[str, StoredTensor]) -> None:
        self._subject = subject
        self._stored = stored
        self._layout = expert_layout(subject.model.model.model_type)
        self.used: set[str] = set()
        self.missing: list[str] = []
        self.misfits: list[str] = []

    def pairs(self) -> Iterator[Pair]:
        scaling = {target.path: target.scaling for target in self._subject.targets}
        adapted = [
            Adapted(module, target.rank, target.is_parameter)
            for target, module in self._subject.adapted
            if module.path == target.path
        ]
        by_stem: dict[str, _Wanted] = {}
        config = self._subject.recipe.stated
        for each, tensor in lora_tensors(self._subject.model, adapted, config):
            stem, end = _split(tensor.name)
            by_stem.setdefault(stem, _Wanted(each, stem, {})).tensors[end] = tensor
        for wanted in by_stem.values():
            yield self._pair(wanted, scaling[wanted.adapted.module.path])
        for target, holder in self._subject.adapted:
            if holder.path != target.path:
                yield self._plain_parameter(target, holder.path)

    def extras(self) -> Iterator[Extra]:
        match = self._subject.match
        saved = () if match is None else tuple(each.path for each in match.saved)
        for normal, tensor in self._stored.items():
            if normal not in self.used:
                inside = any(normal.startswith(f"{path}.") for path in saved)
                yield Extra(tensor, f"{PREFIX}{normal}", self._module_of(normal), is_saved=inside)

    def _pair(self, wanted: _Wanted, scaling: float) -> Pair:
        module = wanted.adapted.module
        ends = EMBEDDING if EMBEDDING[0] in wanted.tensors else LINEAR
        a, b = wanted.tensors[ends[0]], wanted.tensors[ends[1]]
        experts = (module.experts or 1) if wanted.adapted.is_parameter else 1
        found = [self._take(tensor) for tensor in (a, b)]
        parts: tuple[tuple[Part, ...], ...] = ((),)
        if found[0] is not None and found[1] is not None:
            bias = wanted.tensors.get(".lora_B.bias")
            factors = Factors(
                module.path,
                found[0],
                found[1],
                scaling,
                experts,
                None if bias is None else self._take(bias),
            )
            parts = whole_parts(factors, b.shape[0])
        elif wanted.adapted.is_parameter and self._layout is not None:
            parts = self._single_experts(wanted, self._layout, scaling)
        else:
            names = zip((a, b), found, strict=True)
            self.missing += [normal_name(tensor.name) for tensor, got in names if got is None]
        return Pair(
            path=module.path,
            stem=wanted.stem,
            ends=ends,
            inputs=a.shape[1:],
            outputs=b.shape[0],
            beyond=b.shape[2:],
            experts=parts,
            is_parameter=wanted.adapted.is_parameter,
        )

    def _single_experts(
        self, wanted: _Wanted, layout: ExpertLayout, scaling: float
    ) -> tuple[tuple[Part, ...], ...]:
        """Find one expert after the other under the names of transformers 4."""
        module = wanted.adapted.module
        holder = module.path.rpartition(".")[0]
        outputs = wanted.tensors[LINEAR[1]].shape[0]
        inputs = wanted.tensors[LINEAR[0]].shape[1]
        pieces = layout.pieces(module.name, outputs)
        rank = wanted.adapted.rank // len(pieces)
        experts: list[tuple[Part, ...]] = []
        for expert in range(module.experts or 1):
            parts = []
            for name, rows in pieces:
                path = self._old_path(holder, layout, expert, name)
                a = self._take(Tensor(f"{path}{LINEAR[0]}", (rank, inputs), ""))
                b = self._take(Tensor(f"{path}{LINEAR[1]}", (len(rows), rank), ""))
                if a is None or b is None:
                    self.missing.append(f"{path}.lora_A.weight")
                    continue
                factors = Factors(path, a, b, scaling)
                parts.append(Part(factors, 0, range(len(rows)), rows))
            experts.append(tuple(parts))
        return tuple(experts)

    def _old_path(self, holder: str, layout: ExpertLayout, expert: int, name: str) -> str:
        new, old = (f"{start}.{expert}.{name}" for start in (holder, layout.old_holder(holder)))
        return old if f"{old}{LINEAR[0]}" in self._stored else new

    def _plain_parameter(self, target: MatchedTarget, holder: str) -> Pair:
        """Return the pair of a parameter with two dimensions, such as a router's weight."""
        name = target.path.rpartition(".")[2]
        held = self._subject.model.by_path[holder].parameters
        outputs, inputs = next(each.shape for each in held if each.name == name)[-2:]
        a = self._take(Tensor(f"{holder}{LINEAR[0]}", (target.rank, inputs), ""))
        b = self._take(Tensor(f"{holder}{LINEAR[1]}", (outputs, target.rank), ""))
        parts: tuple[tuple[Part, ...], ...] = ((),)
        if a is None or b is None:
            self.missing.append(f"{holder}{LINEAR[0]}")
        else:
            parts = whole_parts(Factors(target.path, a, b, target.scaling), outputs)
        return Pair(
            path=target.path,
            stem=f"{PREFIX}{holder}",
            ends=LINEAR,
            inputs=(inputs,),
            outputs=outputs,
            experts=parts,
            is_parameter=True,
        )

    def _take(self, wanted: Tensor) -> StoredTensor | None:
        normal = normal_name(wanted.name)
        tensor = self._stored.get(normal)
        if tensor is None:
            return None
        self.used.add(normal)
        if tensor.shape != wanted.shape:
            self.misfits.append(_misfit(normal, tensor.shape, wanted.shape))
        elif tensor.dtype not in _FLOATS:
            self.misfits.append(f"{normal} is stored as {tensor.dtype}")
        return tensor

    def _module_of(self, normal: str) -> str:
        """Return the module that a tensor belongs to: the longest start that is a path."""
        path = normal.removesuffix(".weight")
        while path and path not in self._subject.model.by_path:
            path = path.rpartition(".")[0]
        return path


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What PEFT makes for one module; for `nn.MultiheadAttention` one of the two."""

    adapted: Adapted
    stem: str
    tensors: dict[str, Tensor]
    """By the end of the name."""


def _split(name: str) -> tuple[str, str]:
    at = name.rfind(".lora_")
    return name[:at], name[at:]


def _check(subject: Subject, fit: Fit, reader: _Reader) -> None:
    """Refuse what PEFT would not load, or would load only in part."""
    unknown = [name for name in (*fit.unknown, *fit.old_experts) if name not in reader.used]
    problems = [
        *(f"{name} has no element" for name in fit.empty),
        *reader.misfits,
        *(
            f"{misfit.name}, a weight of the base model, is stored as {_shape(misfit.stored)}, and "
            f"the model has {_shape(misfit.wanted)}"
            for misfit in fit.resized
        ),
        *(f"{name} is in the file and belongs to nothing" for name in unknown),
        *(f"{name} is not in the file" for name in dict.fromkeys(reader.missing)),
    ]
    saved = [name for name in fit.missing if ".lora_" not in name]
    problems += [f"{name} is not in the file" for name in saved]
    if problems:
        named = "; ".join(problems[:_MOST_NAMED])
        more = len(problems) - _MOST_NAMED
        rest = f"; and {more:,} more" if more > 0 else ""
        raise AdapterError(
            f"{subject.recipe.origin} and its tensors disagree in {counted(len(problems), 'place')}"
            f" on {subject.model.model.reference}: {named}{rest}.",
            "`lorascope check` says what may be wrong: the base model, r, or the targets.",
        )


def _misfit(name: str, stored: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    return f"{name} is stored as {_shape(stored)}, and {_shape(wanted)} is called for"


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a single number"
