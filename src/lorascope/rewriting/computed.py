"""The numbers of a rewritten adapter, computed pair by pair from the stored ones."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from lorascope.core.errors import AdapterError
from lorascope.core.stored import StoredTensor
from lorascope.rewriting.pairs import Content, Pair, Part
from lorascope.rewriting.uniform import Uniform, is_power_of_two

_DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
_HALF = 2
"""Bytes of a number of the smaller types."""
_KEPT = 4
"""Stored tensors that are kept at hand: single experts are cut from the same ones in turn."""

Read = Callable[[str], torch.Tensor]


@dataclass
class Computation:
    """Computes the tensors of a content; nothing is held but what is being worked on."""

    uniform: Uniform
    read: Read
    """Returns a stored tensor by its name."""
    rounding: float = 0.0
    """Largest change of one number by rounding so far, relative to it."""
    rounded: set[str] = field(default_factory=set)
    """Names of the tensors of which a number was rounded."""
    vanished: int = 0
    """How many numbers became 0 since they were too small for their type once scaled."""
    _kept: OrderedDict[str, torch.Tensor] = field(default_factory=OrderedDict)

    def tensors(self, content: Content) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield name and numbers in the order of `written_tensors`.

        Raises:
            AdapterError: A number is NaN or infinite, or too large for its type once it is scaled.
        """
        for pair in content.pairs:
            name_a, name_b = pair.names
            a, b = self._pair(pair)
            yield name_a, a
            yield name_b, b
            bias = _bias(pair)
            if bias is not None:
                factor = self.uniform.factor(pair.parts[0].factors.scaling)
                yield f"{pair.stem}.lora_B.bias", self._scaled(self._stored(bias), factor, name_b)
        for extra in content.extras:
            yield extra.name, self.read(extra.tensor.name)

    def _pair(self, pair: Pair) -> tuple[torch.Tensor, torch.Tensor]:
        rank, experts = self.uniform.rank, len(pair.experts)
        dtype_a, dtype_b = (_DTYPES[dtype] for dtype in pair_dtypes(pair))
        try:
            a = torch.zeros(experts, rank, *pair.inputs, dtype=dtype_a)
            b = torch.zeros(pair.outputs, rank, experts, *pair.beyond, dtype=dtype_b)
        except (RuntimeError, MemoryError) as error:  # torch raises the first
            raise AdapterError(
                f"The factors of {pair.path} do not fit into memory at rank {rank:,}.",
                "Give a smaller --rank, or leave it out.",
            ) from error
        for expert, parts in enumerate(pair.experts):
            start = 0
            for part in parts:
                end = start + part.factors.rank
                stored_a, stored_b = self._part(part)
                a[expert, start:end] = stored_a.to(dtype_a)
                factor = self.uniform.factor(part.factors.scaling)
                rows = slice(part.into.start, part.into.stop, part.into.step)
                b[rows, start:end, expert] = self._scaled(
                    stored_b.to(dtype_b), factor, pair.names[1]
                )
                start = end
        return (
            a.reshape(experts * rank, *pair.inputs),
            b.reshape(pair.outputs, rank * experts, *pair.beyond),
        )

    def _part(self, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
        """Return A (rank, in, …) and the rows of B (rows, rank, …) of one expert."""
        factors = part.factors
        a, b = self._stored(factors.a), self._stored(factors.b)
        a = a.reshape(factors.experts, factors.rank, *a.shape[1:])[part.expert]
        rows = slice(part.rows.start, part.rows.stop, part.rows.step)
        b = b.reshape(b.shape[0], factors.rank, factors.experts, *b.shape[2:])
        return a, b[rows, :, part.expert]

    def _scaled(self, values: torch.Tensor, factor: float, name: str) -> torch.Tensor:
        if factor == 1.0:
            return values
        wanted = values.to(torch.float64) * factor
        scaled = wanted.to(values.dtype)
        if not torch.isfinite(scaled).all():
            raise AdapterError(
                f"{name} cannot be multiplied by {factor:g}: its numbers become too large for "
                f"{str(values.dtype).removeprefix('torch.')}.",
                "Save the adapter as float32." if values.dtype.itemsize == _HALF else None,
            )
        if factor:
            self._note_rounding(values, factor, wanted, scaled, name)
        return scaled

    def _note_rounding(
        self,
        values: torch.Tensor,
        factor: float,
        wanted: torch.Tensor,
        scaled: torch.Tensor,
        name: str,
    ) -> None:
        """Note how far the numbers are off: a power of two too rounds those that are near 0."""
        before, after = values.to(torch.float64), scaled.to(torch.float64)
        relative = _relative(after, wanted)
        if is_power_of_two(factor) or values.dtype is torch.float64:
            relative = torch.maximum(relative, _relative(after / factor, before))
        largest = float(relative.max()) if relative.numel() else 0.0
        if largest:
            self.rounded.add(name)
            self.rounding = max(self.rounding, largest)
            self.vanished += int(((after == 0) & (before != 0)).sum())

    def _stored(self, tensor: StoredTensor) -> torch.Tensor:
        if tensor.name in self._kept:
            self._kept.move_to_end(tensor.name)
            return self._kept[tensor.name]
        values = self.read(tensor.name)
        if not torch.isfinite(values).all():
            raise AdapterError(
                f"{tensor.name} holds NaN or infinite numbers: the adapter computes nothing.",
                "Take a checkpoint from before its training failed.",
            )
        self._kept[tensor.name] = values
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[tensor.name]


def _relative(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return how far numbers are from others, relative to these; 1 where these alone are 0."""
    difference = (found - wanted).abs()
    return torch.where(wanted == 0, (difference != 0).double(), difference / wanted.abs())


def written_tensors(content: Content, rank: int) -> Iterator[StoredTensor]:
    """Yield name, shape and type of everything that is written, in that order."""
    for pair in content.pairs:
        experts = len(pair.experts)
        name_a, name_b = pair.names
        dtype_a, dtype_b = pair_dtypes(pair)
        yield StoredTensor(name_a, (experts * rank, *pair.inputs), dtype_a)
        yield StoredTensor(name_b, (pair.outputs, rank * experts, *pair.beyond), dtype_b)
        bias = _bias(pair)
        if bias is not None:
            yield StoredTensor(f"{pair.stem}.lora_B.bias", bias.shape, bias.dtype)
    for extra in content.extras:
        yield StoredTensor(extra.name, extra.tensor.shape, extra.tensor.dtype)


def pair_dtypes(pair: Pair) -> tuple[str, str]:
    """Return the types of A and B: those stored, or the smallest that holds all of them."""
    return (
        _widest({part.factors.a.dtype for part in pair.parts}),
        _widest({part.factors.b.dtype for part in pair.parts}),
    )


def _widest(dtypes: set[str]) -> str:
    if len(dtypes) == 1:
        return next(iter(dtypes))
    return "F64" if "F64" in dtypes else "F32"


def _bias(pair: Pair) -> StoredTensor | None:
    whole = pair.whole
    return None if whole is None else whole.bias


def bytes_of(tensor: StoredTensor) -> int:
    """Return how many bytes the numbers of a tensor take."""
    sizes = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2}
    return math.prod(tensor.shape) * sizes.get(tensor.dtype, 1)
