"""What a prediction holds, and what cannot be predicted."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import memory_models as models
import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional

import lorascope
from lorascope.build import inventory_of
from lorascope.core.errors import MemoryPredictionError
from lorascope.core.training import TrainingSetup
from lorascope.memory import Predictor
from lorascope.planning import make_plan, request_from
from lorascope.report.memory_text import memory_text
from lorascope.roles import assign

SETUP = TrainingSetup(batch_size=2, seq_len=16, device="cpu", dtype="fp32")


def _predict(name: str = "short", setup: TrainingSetup = SETUP, **options: object):
    return Predictor(models.model(name)).predict(models.plan(name, **options), setup)


def test_weights_and_states_are_counted_exactly() -> None:
    plan = models.plan("short")
    parts = _predict().parts
    base = sum(p.numel() for p in models.model("short").parameters())
    buffers = sum(b.numel() for b in models.model("short").buffers())
    assert parts.base == 4 * (base + buffers)
    assert parts.adapter == 4 * plan.trainable_params
    weights = sum(1 for _ in plan.targets) * 2
    assert parts.optimizer == 2 * parts.adapter + 4 * weights


def test_half_precision_halves_the_base_but_not_the_adapter() -> None:
    whole, half = _predict(), _predict(setup=replace(SETUP, dtype="bf16"))
    buffers = sum(b.nbytes for b in models.model("short").buffers())
    assert half.parts.base == (whole.parts.base - buffers) // 2 + buffers
    assert half.parts.adapter == whole.parts.adapter
    small = _predict(setup=replace(SETUP, dtype="bf16", adapter_dtype="bf16"))
    assert small.parts.adapter == whole.parts.adapter // 2


def test_cuda_rounds_each_storage_up() -> None:
    parts = _predict(setup=replace(SETUP, device="cuda")).parts
    for name in ("base", "adapter", "gradient", "optimizer", "activation", "temporary"):
        assert getattr(parts, name) % 512 == 0


def test_more_tokens_keep_more() -> None:
    few, many = _predict(), _predict(setup=replace(SETUP, batch_size=8))
    assert many.kept_bytes == pytest.approx(4 * few.kept_bytes, rel=0.01)
    assert many.peak_bytes > few.peak_bytes


def test_checkpointing_keeps_less() -> None:
    plain = _predict("llama")
    checkpointed = _predict("llama", replace(SETUP, gradient_checkpointing=True))
    assert checkpointed.kept_bytes < plain.kept_bytes / 5
    assert checkpointed.parts.base == plain.parts.base


def test_long_logits_make_the_peak() -> None:
    memory = _predict(setup=replace(SETUP, batch_size=64), preset="qv", rank=1, layers="1")
    # Only the last block keeps anything, so the peak comes when logits, their logarithms of
    # probabilities and the gradients of both are there: each tokens × vocabulary.
    tokens, vocabulary = 64 * 16, 64
    assert memory.peak_at == "backward of the loss"
    assert memory.parts.logits >= 3 * 4 * tokens * vocabulary


def test_repeated_predictions_are_equal_and_leave_no_trace() -> None:
    model = models.model("short")
    predictor, plan = Predictor(model), models.plan("short")
    before = (torch.get_rng_state(), torch.get_default_dtype(), dict(model.config.to_dict()))
    patched = (functional.dropout, functional.scaled_dot_product_attention)
    setup = replace(SETUP, device="cuda", gradient_checkpointing=True)
    assert predictor.predict(plan, setup) == predictor.predict(plan, setup)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (torch.get_default_dtype(), dict(model.config.to_dict()))
    assert patched == (functional.dropout, functional.scaled_dot_product_attention)
    assert all(p.is_meta and not p._backward_hooks for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert not any("lora" in name for name, _ in model.named_modules())


def test_modules_without_a_gradient_have_no_state() -> None:
    none = _predict(setup=replace(SETUP, optimizer="sgd"))
    assert none.parts.optimizer == 0


def test_a_sequence_beyond_the_positions() -> None:
    with pytest.raises(MemoryPredictionError, match="129 tokens is asked for; GPT2LMHeadModel"):
        _predict("gpt2", setup=replace(SETUP, seq_len=129))


def test_a_forward_pass_that_raises_says_where_and_why() -> None:
    class Broken(nn.Module):
        def forward(self, *_: object, **__: object) -> None:
            raise ZeroDivisionError("by design\nand more")

    config = transformers.AutoConfig.for_model("llama", **models.TINY)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    model.model.layers[1].mlp = Broken()
    plan = models.plan("short")
    with pytest.raises(MemoryPredictionError) as caught:
        Predictor(model).predict(plan, SETUP)
    assert "the forward pass fails: ZeroDivisionError: by design" in caught.value.what
    assert "and more" not in caught.value.what
    assert caught.value.hint


def test_a_class_without_a_loss_says_what_to_choose() -> None:
    config = transformers.AutoConfig.for_model("llama", **models.TINY)
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(config)
    plan = make_plan(assign(inventory_of(model, reference="bare")), request_from())
    with pytest.raises(MemoryPredictionError, match="no labels") as caught:
        Predictor(model).predict(plan, SETUP)
    assert caught.value.hint


def test_an_adapter_of_another_size_than_planned_is_a_bug() -> None:
    plan = replace(models.plan("short"), trainable_params=1)
    with pytest.raises(MemoryPredictionError, match="trainable parameters, the plan 1"):
        Predictor(models.model("short")).predict(plan, SETUP)


class _Own(nn.Module):
    """A plain module of two layers that makes its own loss, if it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.q_proj, self.v_proj = (
            nn.Embedding(8, 4),
            nn.Linear(4, 4),
            nn.Linear(4, 8),
        )

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.v_proj(self.q_proj(self.embedding(input_ids)))


class _WithLoss(_Own):
    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> SimpleNamespace:
        logits = super().forward(input_ids)
        return SimpleNamespace(
            loss=functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        )


class _WithoutTokens(_Own):
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return super().forward(tokens)


@pytest.mark.parametrize("cls", [_Own, _WithoutTokens])
def test_a_plain_module_without_a_loss_is_told_what_to_write(cls: type[nn.Module]) -> None:
    with pytest.raises(MemoryPredictionError) as caught:
        lorascope.plan(cls(), setup=SETUP)
    assert caught.value.hint is not None
    assert "labels" in caught.value.hint
    assert ".loss" in caught.value.hint
    assert "--" not in f"{caught.value.what}{caught.value.hint}"


def test_a_plain_module_that_returns_its_loss_is_predicted() -> None:
    memory = lorascope.plan(_WithLoss(), setup=SETUP).memory
    assert memory is not None
    assert memory.parts.optimizer > 0


def test_the_attention_that_is_assumed_is_named_and_so_is_the_loss() -> None:
    memory = _predict()
    assert memory.attention == "sdpa"
    step = next(str(line) for line in memory_text(memory, 200) if "tokens" in str(line))
    assert "sdpa attention" in step
    assert any("Liger" in note for note in memory.notes)
