"""Attention masks of fake tensors are skipped where those of real tensors are."""

from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, masking_utils

from lorascope.memory.masks import without_padding

LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
}
MISTRAL = LLAMA | {"sliding_window": 4}
BART = {
    "d_model": 32,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "vocab_size": 64,
}


def masks_of(
    monkeypatch: pytest.MonkeyPatch, auto: Any, model_type: str, sizes: dict[str, Any]
) -> list[tuple[int, ...] | None]:
    """Shapes of the masks that the attention kernel is given in a forward pass."""
    seen: list[tuple[int, ...] | None] = []
    kernel = torch.nn.functional.scaled_dot_product_attention

    def spy(*args: Any, attn_mask: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
        seen.append(None if attn_mask is None else tuple(attn_mask.shape))
        return kernel(*args, attn_mask=attn_mask, **kwargs)

    model = auto.from_config(AutoConfig.for_model(model_type, **sizes))
    ids = torch.zeros(2, 8, dtype=torch.long)
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.functional, "scaled_dot_product_attention", spy)
        model(input_ids=ids, labels=ids, use_cache=False)
    return seen


@pytest.mark.parametrize(
    ("auto", "model_type", "sizes"),
    [
        (AutoModelForCausalLM, "llama", LLAMA),
        (AutoModelForCausalLM, "mistral", MISTRAL),
        (AutoModelForSeq2SeqLM, "bart", BART),
    ],
    ids=["causal", "sliding window", "encoder-decoder"],
)
def test_the_same_masks_as_of_real_tensors(
    monkeypatch: pytest.MonkeyPatch, auto: Any, model_type: str, sizes: dict[str, Any]
) -> None:
    real = masks_of(monkeypatch, auto, model_type, sizes)
    with FakeTensorMode(), without_padding():
        fake = masks_of(monkeypatch, auto, model_type, sizes)
    assert fake == real
    assert real


def test_a_window_still_needs_its_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeTensorMode(), without_padding():
        assert None not in masks_of(monkeypatch, AutoModelForCausalLM, "mistral", MISTRAL)


def test_transformers_is_left_as_it_was() -> None:
    before = dict(vars(masking_utils))
    with pytest.raises(RuntimeError, match="halfway"), without_padding():
        raise RuntimeError("halfway")
    assert dict(vars(masking_utils)) == before
