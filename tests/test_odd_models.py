"""Models that cannot be copied, run or listed: an error or a reason, never a raw exception."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from torch import nn
from torch.nn.utils import prune
from transformers import LlamaConfig, LlamaForCausalLM

import lorascope
from lorascope.core.errors import MemoryPredictionError, ModelBuildError

SETUP = {"seq_len": 8}


def _llama() -> Any:
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            vocab_size=32,
        )
    )


def _pruned() -> nn.Module:
    model = _llama()
    prune.random_unstructured(model.model.layers[0].self_attn.q_proj, "weight", 0.5)
    return model  # type: ignore[no-any-return]


def _with_result() -> nn.Module:
    model = _llama()
    model.kept = [model.lm_head.weight * 2]
    return model  # type: ignore[no-any-return]


def _with_lock() -> nn.Module:
    model = _llama()
    model.lock = threading.Lock()
    return model  # type: ignore[no-any-return]


class ItsOwnCopy(nn.Linear):
    """Returns itself when it is copied."""

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class NotCopied(nn.Linear):
    """Refuses to be copied."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise SystemExit("no copy")


def _with_projection(cls: type[nn.Linear]) -> nn.Module:
    model = _llama()
    model.model.layers[0].self_attn.q_proj = cls(16, 16, bias=False)
    return model  # type: ignore[no-any-return]


def _prompt_tuned() -> nn.Module:
    return get_peft_model(_llama(), PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"))


@pytest.mark.parametrize(
    "make",
    [
        _pruned,
        _with_result,
        _with_lock,
        lambda: _with_projection(ItsOwnCopy),
        lambda: _with_projection(NotCopied),
    ],
)
def test_a_model_that_cannot_be_copied_is_not_run(make: Callable[[], nn.Module]) -> None:
    model = make()
    before = {path: (id(each), each.training) for path, each in model.named_modules()}
    found = lorascope.inspect(model, observe=True).observation
    assert found is not None
    assert "cannot be copied" in str(found.reason)
    with pytest.raises(MemoryPredictionError, match="cannot be copied"):
        lorascope.plan(model, setup=SETUP)
    assert {path: (id(each), each.training) for path, each in model.named_modules()} == before


def test_a_prompt_that_cannot_be_taken_out_is_told() -> None:
    with pytest.raises(MemoryPredictionError, match="copying the model"):
        lorascope.plan(_prompt_tuned(), setup=SETUP)


class Answering(nn.Module):
    """Has every attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name == "layer" else lambda *_: None


class WithoutConfig(nn.Linear):
    """Fails where its config is asked for."""

    @property
    def config(self) -> Any:
        raise ValueError("no config")


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.LazyLinear(4)),
        lambda: torch.jit.trace(nn.Linear(4, 4), torch.zeros(1, 4)),
        lambda: WithoutConfig(3, 3),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_module_that_does_not_say_what_it_holds_is_refused(
    make: Callable[[], nn.Module],
) -> None:
    with pytest.raises(ModelBuildError, match="cannot be listed"):
        lorascope.inspect(make(), observe=True)
    with pytest.raises((ModelBuildError, MemoryPredictionError)):
        lorascope.plan(make(), setup=SETUP)


def test_a_module_with_every_attribute_gets_an_answer_or_a_reason() -> None:
    with pytest.raises((ModelBuildError, MemoryPredictionError)):
        lorascope.plan(Answering(), "all-linear", setup=SETUP)


class SilentError(Exception):
    """Has a message that cannot be had."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, SilentError, RecursionError])
def test_whatever_a_forward_raises_is_a_reason(kind: type[BaseException]) -> None:
    class Raising(nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            raise kind

    model = _llama()
    model.model.layers[1].mlp.act_fn = Raising()
    found = lorascope.inspect(model, observe=True).observation
    assert found is not None
    assert f"{kind.__name__}: no message" in str(found.reason)
    with pytest.raises(MemoryPredictionError, match=kind.__name__):
        lorascope.plan(model, setup=SETUP)


def test_an_interrupt_goes_through() -> None:
    class Raising(nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            raise KeyboardInterrupt

    model = _llama()
    model.model.layers[1].mlp.act_fn = Raising()
    with pytest.raises(KeyboardInterrupt):
        lorascope.inspect(model, observe=True)


@pytest.mark.parametrize(
    "wrap", [lambda model: torch.compile(model, backend="eager"), nn.DataParallel]
)
@pytest.mark.parametrize(
    "plain", [_llama, lambda: get_peft_model(_llama(), LoraConfig(target_modules=["q_proj"]))]
)
def test_what_is_wrapped_around_a_model_is_looked_through(
    wrap: Callable[[nn.Module], Any], plain: Callable[[], nn.Module]
) -> None:
    expected = lorascope.inspect(plain(), observe=True)
    found = lorascope.inspect(wrap(plain()), observe=True)
    assert found.modules == expected.modules
    assert found.observation == expected.observation
    memory = lorascope.plan(wrap(plain()), setup=SETUP).memory
    assert memory is not None
    assert memory == lorascope.plan(plain(), setup=SETUP).memory
