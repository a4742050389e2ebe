"""Names that only checkpoints have: every row of that table, with the layout it is from."""

from __future__ import annotations

import pytest

from builders import inventory_of, linear
from lorascope.core.roles import Role
from lorascope.roles import assign
from lorascope.roles.tables import shipped_rules

NAMES = {
    ("qwen2_moe", "model.layers.0.mlp.experts.3.gate_proj"): Role.MOE_EXPERTS_GATE,
    ("qwen2_moe", "model.layers.0.mlp.experts.3.up_proj"): Role.MOE_EXPERTS_UP,
    ("qwen2_moe", "model.layers.0.mlp.experts.3.down_proj"): Role.MOE_EXPERTS_DOWN,
    ("mixtral", "model.layers.0.block_sparse_moe.gate"): Role.MOE_ROUTER,
    ("mixtral", "model.layers.0.block_sparse_moe.experts.7.w1"): Role.MOE_EXPERTS_GATE,
    ("mixtral", "model.layers.0.block_sparse_moe.experts.7.w2"): Role.MOE_EXPERTS_DOWN,
    ("mixtral", "model.layers.0.block_sparse_moe.experts.7.w3"): Role.MOE_EXPERTS_UP,
    ("internlm2", "model.layers.0.attention.wqkv"): Role.ATTENTION_QKV,
    ("internlm2", "model.layers.0.attention.wo"): Role.ATTENTION_O,
    ("internlm2", "model.layers.0.feed_forward.w1"): Role.FFN_GATE,
    ("internlm2", "model.layers.0.feed_forward.w2"): Role.FFN_DOWN,
    ("internlm2", "model.layers.0.feed_forward.w3"): Role.FFN_UP,
    ("internlm2", "output"): Role.HEAD_LM,
    ("llama", "output"): Role.UNKNOWN,
    ("baichuan", "model.layers.0.self_attn.W_pack"): Role.ATTENTION_QKV,
    ("qwen", "transformer.h.0.mlp.w1"): Role.FFN_UP,
    ("qwen", "transformer.h.0.mlp.w2"): Role.FFN_GATE,
    ("qwen", "transformer.h.0.mlp.c_proj"): Role.FFN_DOWN,
    ("chatglm", "transformer.encoder.layers.0.mlp.dense_h_to_4h"): Role.FFN_GATE_UP,
    ("falcon", "transformer.h.0.mlp.dense_h_to_4h"): Role.FFN_UP,
}


@pytest.mark.parametrize(("model_type", "path"), list(NAMES))
def test_the_name_gives_its_role(model_type: str, path: str) -> None:
    inventory = assign(inventory_of([linear(path, (8, 8))], model_type=model_type))
    assert inventory.by_path[path].role is NAMES[model_type, path]


def test_every_row_of_the_table_is_hit() -> None:
    rows = {rule.name for rule in shipped_rules() if rule.table == "checkpoint"}
    hit = {
        assign(inventory_of([linear(path, (8, 8))], model_type=model_type)).by_path[path].rule
        for model_type, path in NAMES
    }
    assert rows <= hit
