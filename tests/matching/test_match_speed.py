"""Matching is quick, also with long lists. Processor time, as the machine may be busy."""

from __future__ import annotations

import time

import pytest
import torch
import transformers

from lorascope.build import inventory_of
from lorascope.core.inventory import Inventory
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching import match


@pytest.fixture(scope="module")
def deep() -> Inventory:
    config = transformers.LlamaConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=100,
        num_attention_heads=2,
        vocab_size=8,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    return inventory_of(model)


def seconds(inventory: Inventory, spec: LoraSpec) -> float:
    """The best of a few runs."""
    taken = []
    for _ in range(5):
        started = time.process_time()
        match(inventory, spec)
        taken.append(time.process_time() - started)
    return min(taken)


def test_a_list_of_suffixes(deep: Inventory) -> None:
    assert len(deep.modules) > 1300
    assert seconds(deep, LoraSpec(target_modules=("q_proj", "k_proj", "v_proj"))) < 0.02


def test_a_list_of_full_names(deep: Inventory) -> None:
    names = tuple(module.path for module in deep.adaptable if module.kind is Kind.LINEAR)
    assert len(names[:400]) == 400
    assert seconds(deep, LoraSpec(target_modules=names[:400])) < 0.2
    ranks = dict.fromkeys(names[:400], 4)
    assert seconds(deep, LoraSpec(target_modules=names[:400], rank_pattern=ranks)) < 0.4
