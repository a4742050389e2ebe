"""Which models have a table of positions, and how many tokens it has room for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from lorascope.build.info import model_info, positions_of
from lorascope.build.positions import positions_within

_BERT = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 64}
_GPT = {"n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 64}
_BART = {"d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 64}
_HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}


@pytest.mark.parametrize(
    ("model_type", "sizes", "stated", "expected"),
    [
        ("bert", {**_BERT, "max_position_embeddings": 32}, 32, 32),
        ("roberta", {**_BERT, "max_position_embeddings": 34, "pad_token_id": 1}, 34, 32),
        ("mpnet", {**_BERT, "max_position_embeddings": 34, "pad_token_id": 1}, 34, 32),
        ("opt", {**_BERT, "max_position_embeddings": 32, "word_embed_proj_dim": 8}, 32, 32),
        ("bart", {**_BART, **_HEADS, "max_position_embeddings": 32}, 32, 32),
        ("gpt2", {**_GPT, "n_positions": 32}, 32, 32),
        ("gptj", {**_GPT, "n_positions": 32, "rotary_dim": 4}, 32, 32),
        ("llama", {**_BERT, "max_position_embeddings": 32}, 32, None),
        ("llama", {**_BERT, "max_position_embeddings": 64}, 64, None),
        ("bloom", {"hidden_size": 8, "n_layer": 1, "n_head": 2, "vocab_size": 64}, None, None),
    ],
)
def test_a_table_of_positions_is_found(
    model_type: str, sizes: dict[str, Any], stated: int | None, expected: int | None
) -> None:
    config = AutoConfig.for_model(model_type, **sizes)
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    assert positions_of(config) == stated
    info = model_info(model, model_type, 0)
    assert (info.positions, info.stated_positions) == (expected, stated)


def test_one_token_more_than_the_table_has_room_for_fails() -> None:
    config = AutoConfig.for_model(
        "roberta", **_BERT, intermediate_size=8, max_position_embeddings=34, pad_token_id=1
    )
    model = AutoModel.from_config(config)
    room = positions_within(model, 34, model.get_input_embeddings())
    assert room is not None
    model(torch.full((1, room), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, room + 1), 5))
