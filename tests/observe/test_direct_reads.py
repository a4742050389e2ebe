"""Modules whose weight is read instead of their forward being run, told from the source."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from lorascope.observe.direct_reads import Read, direct_reads, read_directly

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))

from guarded import guarded_by_peft


class Leaf(nn.Module):
    """Reads `a` in several ways, told by the tests."""

    def __init__(self, **flags: object) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.several = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        for name, value in flags.items():
            setattr(self, name, value)


class Read1(Leaf):
    def forward(self, x):
        return F.linear(self.b(x), self.a.weight, self.a.bias)


class ThroughNames(Leaf):
    def forward(self, x):
        module = self.a
        weight = module.weight
        return x @ weight.t()


class ThroughMethods(Leaf):
    def forward(self, x):
        return self.inner(x)

    def inner(self, x):
        return kernel(x, w=self.a.weight)


class InLoop(Leaf):
    def forward(self, x):
        for index, module in enumerate(self.several):
            x = F.linear(x, module.weight) + index
        return x


class Branches(Leaf):
    def forward(self, x):
        if x.is_cuda:
            return kernel(x, self.a.weight)
        return self.a(x)


class OnlyAsked(Leaf):
    def forward(self, x):
        x = x.to(self.a.weight.dtype).to(self.a.weight)
        if isinstance(self.a.weight, nn.Parameter) and self.a.weight is not None:
            x = x + torch.zeros_like(self.a.weight).sum() + self.a.weight.shape[0]
        return self.b(x)


class BothAtOnce(Leaf):
    def forward(self, x):
        return self.a(x) + self.a.weight.sum()


class BiasOnly(Leaf):
    def forward(self, x):
        return self.a(x) - self.a.bias


class ByFlag(Leaf):
    def forward(self, x):
        if self.slow and self.width > 1:
            return F.linear(x, self.a.weight)
        return self.a(x)


class ByArgument(Leaf):
    def forward(self, x, cached=None):
        return self.inner(x, cached)

    def inner(self, x, cached):
        is_first = cached is None
        if not is_first:
            return F.linear(x, self.a.weight)
        return self.a(x)


class InTraining(Leaf):
    def forward(self, x):
        if self.training:
            return F.linear(x, self.a.weight)
        return self.a(x)


class NotInTraining(Leaf):
    """What keeps from the fast way is written down, as PyTorch's own layers do."""

    def forward(self, x):
        why_not = ""
        if x.dim() != 3:
            why_not = f"{x.dim()} dimensions"
        elif self.training:
            why_not = "training"
        if not why_not:
            return F.linear(x, self.a.weight)
        return self.a(x)


class PerhapsInTraining(Leaf):
    """As above, but nothing is written down where the width is large."""

    def forward(self, x):
        why_not = ""
        if x.dim() != 3:
            why_not = "dimensions"
        elif x.shape[-1] < 8:
            why_not = "training"
        if not why_not:
            return F.linear(x, self.a.weight)
        return self.a(x)


class WrittenDownTooLate(Leaf):
    """In the second turn of the loop nothing keeps from the fast way."""

    def forward(self, x):
        why_not = "first turn"
        for _ in range(2):
            x = self.a(x) if why_not else F.linear(x, self.a.weight)
            why_not = ""
        return x


class PerhapsNotWrittenDown(Leaf):
    def forward(self, x):
        why_not = ""
        try:
            check(x)
            why_not = "checked"
        except ValueError:
            pass
        if why_not:
            return self.a(x)
        return F.linear(x, self.a.weight)


class LeftEarly(Leaf):
    """A way that returns says nothing of what follows."""

    def forward(self, x):
        fast = True
        if self.training:
            fast = False
        if x.is_cuda:
            fast = True
            return self.b(x)
        return F.linear(x, self.a.weight) if fast else self.a(x)


class NotInForward(Leaf):
    def _init_weights(self, module):
        self.a.weight.data.normal_()

    def tie_weights(self):
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(x)


class HandedOn(Leaf):
    def forward(self, x):
        if x.is_cuda:
            return kernel(x, self.a.weight)
        return kernel(x, self.a)


class Child(Leaf):
    def encode(self, x):
        return F.linear(x, self.a.weight)


class CallsAMethodOfItsChild(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.child = Child()

    def forward(self, x):
        return self.child.encode(x)


class ReadsAGrandchild(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.child = Child()

    def forward(self, x):
        return F.linear(x, self.child.b.weight)


class Inherits(Read1):
    def forward(self, x):
        return super().forward(x)


class RunsForever(Leaf):
    def forward(self, x):
        return self.other(x)

    def other(self, x):
        return self.forward(F.linear(x, self.a.weight))


class LaterTurns(Leaf):
    """Reads in one turn of a loop what it calls in another."""

    def forward(self, x):
        for turn in range(3):
            if turn:
                x = self.a(x)
                continue
            x = F.linear(x, self.a.weight)
            break
        return x


def check(x):
    raise AssertionError("nothing is run")


def kernel(x, w):
    raise AssertionError("nothing is run")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Read1(), {"a": Read.ALWAYS}),
        (ThroughNames(), {"a": Read.ALWAYS}),
        (ThroughMethods(), {"a": Read.ALWAYS}),
        (InLoop(), {"several.0": Read.ALWAYS, "several.1": Read.ALWAYS}),
        (Branches(), {"a": Read.SOMETIMES}),
        (OnlyAsked(), {}),
        (BothAtOnce(), {}),
        (BiasOnly(), {}),
        (ByFlag(slow=False, width=2), {}),
        (ByFlag(slow=True, width=1), {}),
        (ByFlag(slow=True, width=2), {"a": Read.ALWAYS}),
        (ByArgument(), {}),
        (InTraining(), {"a": Read.ALWAYS}),
        (NotInTraining(), {}),
        (PerhapsInTraining(), {"a": Read.SOMETIMES}),
        (WrittenDownTooLate(), {"a": Read.SOMETIMES}),
        (PerhapsNotWrittenDown(), {"a": Read.SOMETIMES}),
        (LeftEarly(), {}),
        (nn.TransformerEncoderLayer(4, 2, 8), {"self_attn.out_proj": Read.ALWAYS}),
        (NotInForward(), {}),
        (HandedOn(), {"a": Read.SOMETIMES}),
        (CallsAMethodOfItsChild(), {"child.a": Read.ALWAYS}),
        (ReadsAGrandchild(), {"child.b": Read.ALWAYS}),
        (Inherits(), {"a": Read.ALWAYS}),
        (RunsForever(), {"a": Read.ALWAYS}),
        (LaterTurns(), {"a": Read.SOMETIMES}),
        (nn.MultiheadAttention(4, 2), {"out_proj": Read.ALWAYS}),
        (nn.Sequential(nn.Linear(2, 2)), {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_the_source_says(model: nn.Module, expected: dict[str, Read]) -> None:
    assert direct_reads(model) == expected
    assert read_directly(model) == frozenset(expected)


def test_nothing_is_said_without_source() -> None:
    scope: dict[str, object] = {}
    exec(  # noqa: S102 - a class that has no file
        "def forward(self, x):\n    return F.linear(x, self.a.weight)", {"F": F}, scope
    )
    made = type("Made", (Leaf,), scope)
    assert direct_reads(made()) == {}


def _built(model_type: str) -> nn.Module:
    config = transformers.AutoConfig.for_model(model_type)
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config)


GUARDED_TYPES, GUARDED_NAMES = guarded_by_peft()


def test_pefts_guard_was_read() -> None:
    assert len(GUARDED_TYPES) >= 5
    assert "out_proj" in GUARDED_NAMES


@pytest.mark.parametrize("model_type", sorted(GUARDED_TYPES))
def test_all_that_peft_guards_is_found(model_type: str) -> None:
    model = _built(model_type)
    found = read_directly(model)
    holders = {
        path.rpartition(".")[0]
        for path, module in model.named_modules()
        if path.endswith(".conv1d") and hasattr(model.get_submodule(path[:-7]), "out_proj")
    }
    expected = {f"{holder}.{name}" for holder in holders for name in GUARDED_NAMES}
    assert expected
    assert expected <= found


@pytest.mark.parametrize(
    ("model_type", "name", "read"),
    [
        ("jamba", "mamba.dt_proj", Read.ALWAYS),
        ("jamba", "mamba.conv1d", Read.ALWAYS),
        ("bamba", "mamba.out_proj", Read.SOMETIMES),
        ("bamba", "mamba.conv1d", Read.ALWAYS),
        ("zamba2", "mamba.out_proj", Read.SOMETIMES),
        ("zamba2", "mamba.conv1d", Read.ALWAYS),
        ("granitemoehybrid", "mamba.out_proj", Read.SOMETIMES),
        ("granitemoehybrid", "mamba.conv1d", Read.ALWAYS),
        ("mamba", "mixer.dt_proj", Read.ALWAYS),
        ("falcon_mamba", "mixer.x_proj", Read.SOMETIMES),
        ("longcat_flash", "router.classifier", Read.ALWAYS),
    ],
)
def test_what_peft_does_not_guard(model_type: str, name: str, read: Read) -> None:
    found = direct_reads(_built(model_type))
    those = {path: kind for path, kind in found.items() if path.endswith(f".{name}")}
    assert those
    assert set(those.values()) == {read}


@pytest.mark.parametrize("model_type", ["llama", "bloom", "gpt2", "mixtral", "t5", "gemma3_text"])
def test_nothing_is_found_where_every_module_is_called(model_type: str) -> None:
    cls = transformers.AutoModelForSeq2SeqLM if model_type == "t5" else None
    config = transformers.AutoConfig.for_model(model_type)
    with torch.device("meta"):
        model = cls.from_config(config) if cls else _built(model_type)
    assert direct_reads(model) == {}
