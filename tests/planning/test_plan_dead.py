"""No preset chooses what cannot learn, judged by the gradients of a real training step."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import ParamWrapper
from peft_judge import inject
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.observation import Call
from lorascope.core.plan import Plan
from lorascope.observe.inspected import inspect_module
from lorascope.planning import PRESETS, make_plan, request_from
from lorascope.planning.trainable import NEVER
from lorascope.roles.matcher import Matcher

_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "vocab_size": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_DECODER = {
    **_SIZES,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
_MAMBA2 = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_d_state": 8,
    "mamba_n_groups": 1,
    "mamba_expand": 2,
}
_CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "mamba": {**_SIZES, "state_size": 4},
    "falcon_mamba": {**_SIZES, "state_size": 4},
    "jamba": {
        **_DECODER,
        "num_experts": 4,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "mamba_dt_rank": 4,
        "mamba_d_state": 4,
        "use_mamba_kernels": False,
    },
    "bamba": {**_DECODER, "attn_layer_indices": [1], **_MAMBA2},
    "zamba2": {
        **_DECODER,
        "num_hidden_layers": 4,
        "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
        "num_mem_blocks": 1,
        "mamba_d_state": 8,
        "n_mamba_heads": 8,
        "mamba_headdim": 8,
        "mamba_ngroups": 1,
        "mamba_expand": 2,
        "adapter_rank": 4,
        "use_mamba_kernels": False,
    },
    "granitemoehybrid": {
        **_DECODER,
        "layer_types": ["mamba", "attention"],
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 48,
        **_MAMBA2,
    },
    "deepseek_v4": {
        **_DECODER,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "q_lora_rank": 8,
        "o_lora_rank": 8,
        "o_groups": 2,
        "qk_rope_head_dim": 8,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "index_n_heads": 4,
        "index_head_dim": 8,
        "compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 8},
    },
}


class Attending(nn.Module):
    """A model in plain torch whose attention is an `nn.MultiheadAttention`."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, 32)
        self.layers = nn.ModuleList(Block() for _ in range(2))
        self.lm_head = nn.Linear(32, 64)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.embed(input_ids)
        for layer in self.layers:
            hidden = layer(hidden)
        logits: torch.Tensor = self.lm_head(hidden)
        return logits


class Block(nn.Module):
    """One of its blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(32, 4, batch_first=True)
        self.up_proj = nn.Linear(32, 48)
        self.down_proj = nn.Linear(48, 32)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        attended, _ = self.self_attn(hidden, hidden, hidden, need_weights=False)
        made: torch.Tensor = hidden + attended
        return made + self.down_proj(torch.relu(self.up_proj(made)))


NAMES = (*_CONFIGS, "multihead")
ALL_CALLED = {"jamba"} if Version(transformers.__version__) < Version("5.23") else frozenset()
"""Jamba of transformers 5.10 calls `dt_proj` with its bias put aside; 5.23 reads its weight."""


def model(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "multihead":
        return Attending()
    config = AutoConfig.for_model(name, **copy.deepcopy(dict(_CONFIGS[name])))
    built: nn.Module = AutoModelForCausalLM.from_config(config)
    return built


@cache
def observed(name: str) -> Inventory:
    return inspect_module(model(name), wanted=True)


@cache
def unnamed(name: str) -> Inventory:
    """The same without any name rule: what observation alone tells."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            import_module("lorascope.roles.assign"), "shipped_matcher", lambda: Matcher(())
        )
        return inspect_module(model(name), wanted=True)


def plans(inventory: Inventory) -> Iterator[Plan]:
    """The plan of every preset that the model has, routed experts left out."""
    for preset in PRESETS:
        try:
            yield make_plan(inventory, request_from(preset=preset))
        except PlanError:
            continue


def idle(plan: Plan, built: nn.Module) -> set[str]:
    """Targets of a plan whose LoRA gets no gradient in a training step."""
    injected = inject(built, plan).model
    output = injected(torch.arange(1, 33).reshape(2, 16))
    logits = output if isinstance(output, torch.Tensor) else output.logits
    logits.float().logsumexp(-1).sum().backward()
    learning = {
        target_of(path, layer)
        for path, layer in injected.base_model.model.named_modules()
        if isinstance(layer, LoraLayer)
        and any(p.grad is not None and bool((p.grad != 0).any()) for p in layer.lora_B.parameters())
    }
    return {target.path for target in plan.targets} - learning


def target_of(path: str, layer: LoraLayer) -> str:
    """What a LoRA layer adapts: the module that it wraps, or one parameter of it."""
    bare = path.replace(".base_layer", "")
    return f"{bare}.{layer.parameter_name}" if isinstance(layer, ParamWrapper) else bare


@pytest.mark.parametrize("name", NAMES)
def test_every_target_of_every_preset_learns(name: str) -> None:
    inventory = observed(name)
    missed = {
        m.path
        for m in inventory.adaptable
        if m.observed is not None and m.observed.call is Call.NOT_REACHED
    }
    made = list(plans(inventory))
    assert made
    for plan in made:
        assert idle(plan, model(name)) <= missed, plan.preset


@pytest.mark.parametrize("name", NAMES)
def test_no_preset_chooses_a_dead_or_non_affine_module(name: str) -> None:
    for inventory in (observed(name), unnamed(name)):
        never = {m.path for m in inventory.modules if NEVER & set(m.hazards)}
        assert never or name in ALL_CALLED
        for plan in plans(inventory):
            assert not never & {target.path for target in plan.targets}, plan.preset
