"""Linear modules whose output is not x·Wᵀ + b, told by running a copy."""

from __future__ import annotations

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations
from transformers.pytorch_utils import Conv1D

from lorascope.observe import affine
from lorascope.observe.affine import is_affine, not_affine


class OwnForward(nn.Linear):
    def forward(self, x):
        return x @ self.weight.T + (0 if self.bias is None else self.bias)


class Scaled(nn.Linear):
    def forward(self, x):
        return 1.01 * super().forward(x)


class Shifted(nn.Linear):
    def forward(self, x):
        return super().forward(x) + 0.1


class Grouped(nn.Linear):
    def __init__(self, *sizes, groups):
        super().__init__(*sizes, bias=False)
        self.groups = groups

    def forward(self, x):
        weight = self.weight.view(self.groups, -1, self.in_features)
        assert x.shape[-2] == self.groups
        return torch.einsum("...gi,goi->...go", x, weight)


class Tuple(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


class TwoArguments(nn.Linear):
    def forward(self, x, other):
        return super().forward(x) + other


class Refuses(nn.Linear):
    def forward(self, x):
        raise RuntimeError("no")


class Uncopyable(OwnForward):
    def __deepcopy__(self, memo):
        raise TypeError("no copy")


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Linear(6, 8), True),
        (OwnForward(6, 8), True),
        (OwnForward(6, 8, bias=False), True),
        (OwnForward(6, 8, dtype=torch.bfloat16), True),
        (OwnForward(6, 8, device="meta"), True),
        (Conv1D(8, 6), True),
        (parametrizations.weight_norm(nn.Linear(6, 8)), True),
        (Scaled(6, 8), False),
        (Shifted(6, 8), False),
        (Grouped(6, 8, groups=4), False),
        (Grouped(6, 8, groups=1), None),
        (Tuple(6, 8), False),
        (TwoArguments(6, 8), None),
        (Refuses(6, 8), None),
        (Uncopyable(6, 8), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_module(module: nn.Module, expected: bool | None) -> None:
    assert is_affine(module) is expected
    assert not_affine(nn.ModuleDict({"m": module})) == ({} if expected is None else {"m": expected})


@pytest.mark.parametrize(
    ("cls", "expected"), [(OwnForward, True), (Scaled, None), (Grouped, False), (Tuple, False)]
)
def test_large_modules_are_tried_small(
    cls: type, expected: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"groups": 4} if cls is Grouped else {}
    module = cls(200, 400, **sizes)
    monkeypatch.setattr(affine, "LARGEST", 1000)
    assert is_affine(module) is expected


def test_hooks_are_not_run() -> None:
    def hook(*_: object) -> None:
        raise AssertionError("somebody's code was run")

    for cls in (nn.Linear, OwnForward):
        module = cls(2, 2)
        module.register_forward_hook(hook)
        assert is_affine(module) is None


def test_the_model_and_the_random_state_stay_as_they_are() -> None:
    class Counting(OwnForward):
        runs = 0

        def forward(self, x):
            self.runs = self.runs + 1
            torch.rand(3)
            return super().forward(x)

    module = Counting(4, 4)
    weight = module.weight.detach().clone()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    assert is_affine(module)
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(module.weight, weight)
    assert module.runs == 0
    assert module.training


def test_quantized_weights_are_left_out() -> None:
    module = OwnForward(4, 4)
    module.weight = nn.Parameter(torch.zeros(8, 1, dtype=torch.uint8), requires_grad=False)
    assert is_affine(module) is None


def test_each_class_and_configuration_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    judge = affine.is_affine
    monkeypatch.setattr(affine, "is_affine", lambda module: tried.append(module) or judge(module))
    modules = [OwnForward(4, 4), OwnForward(4, 4), OwnForward(4, 5), Scaled(4, 4)]
    assert list(not_affine(nn.ModuleList(modules)).values()) == [True, True, True, False]
    assert len(tried) == 3


@given(st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_scaling_by_anything_but_one_is_seen(inputs: int, outputs: int, bias: bool) -> None:
    assert is_affine(OwnForward(inputs, outputs, bias=bias))
    assert is_affine(Scaled(inputs, outputs, bias=bias)) is False


@pytest.mark.parametrize(
    ("model_type", "name", "expected"),
    [
        ("deepseek_v4", "o_a_proj", False),
        ("llama4_text", "router", False),
        ("falcon", "query_key_value", True),
        ("gpt2", "c_attn", True),
    ],
)
def test_classes_of_transformers(model_type: str, name: str, expected: bool) -> None:
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(model_type)
        )
    found = {path: value for path, value in not_affine(model).items() if path.endswith(name)}
    assert found
    assert set(found.values()) == {expected}
