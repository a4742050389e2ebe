"""Where the oldest supported PEFT does otherwise than the newest."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from match_models import hand_made, real
from torch import nn

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.matching import NEWEST, OLDEST, match
from lorascope.matching.versions import behaviour_of


def trainable(inventory: Inventory, version: str, **fields: Any) -> int:
    return match(inventory, LoraSpec(**fields), peft_version=version).trainable_params


def test_releases_between_and_after() -> None:
    assert behaviour_of("0.20.1.dev0") == behaviour_of(OLDEST)
    assert behaviour_of("0.21.0") == behaviour_of("1.0") == behaviour_of(NEWEST)
    assert behaviour_of(OLDEST) != behaviour_of(NEWEST)


def test_bias_all_trains_what_has_bias_in_its_name() -> None:
    with torch.device("meta"):
        model = nn.ModuleDict({"bias_table": nn.Embedding(4, 2), "q": nn.Linear(2, 2)})
    inventory = hand_made(model).inventory
    newest = trainable(inventory, NEWEST, target_modules=("q",), bias="all")
    assert trainable(inventory, OLDEST, target_modules=("q",), bias="all") == newest + 4 * 2


def test_names_with_lora_in_them_stayed_trainable() -> None:
    with torch.device("meta"):
        model = nn.ModuleDict({"lora_block": nn.Linear(3, 2), "q": nn.Linear(2, 2)})
    inventory = hand_made(model).inventory
    newest = trainable(inventory, NEWEST, target_modules=("q",))
    assert trainable(inventory, OLDEST, target_modules=("q",)) == newest + 3 * 2 + 2


def test_layers_pattern_with_layer_zero() -> None:
    fields: dict[str, Any] = {"layers_to_transform": 0, "layers_pattern": "layers"}
    spec = LoraSpec(target_modules=("q_proj",), **fields)
    inventory = real("llama").inventory
    assert len(match(inventory, spec, peft_version=NEWEST).targets) == 1
    with pytest.raises(SpecificationError, match="layers_pattern is given"):
        match(inventory, spec, peft_version=OLDEST)


def test_a_group_in_layers_pattern() -> None:
    spec = LoraSpec(target_modules=("q_proj",), layers_to_transform=1, layers_pattern="(layers|h)")
    inventory = real("llama").inventory
    assert len(match(inventory, spec, peft_version=NEWEST).targets) == 1
    with pytest.raises(SpecificationError, match="reads as the layer index"):
        match(inventory, spec, peft_version=OLDEST)


def test_layers_at_the_start_of_a_name() -> None:
    with torch.device("meta"):
        blocks = [nn.ModuleDict({"q": nn.Linear(2, 2)}) for _ in range(2)]
        model = nn.ModuleDict({"h": nn.ModuleList(blocks)})
    spec = LoraSpec(target_modules=("q",), layers_to_transform=1, layers_pattern="h")
    inventory = hand_made(model).inventory
    found = match(inventory, spec, peft_version=NEWEST)
    assert [target.path for target in found.targets] == ["h.1.q"]
    with pytest.raises(SpecificationError, match="with layers_to_transform=1"):
        match(inventory, spec, peft_version=OLDEST)


def test_keys_that_decide_nothing() -> None:
    spec = LoraSpec(target_modules=("q_proj",), rank_pattern={"q_proj": 4, "v_proj": 2, "(": 1})
    inventory = real("llama").inventory
    assert match(inventory, spec, peft_version=OLDEST).warnings == ()
    with pytest.raises(SpecificationError, match="not a valid regular expression"):
        match(inventory, spec, peft_version=NEWEST)
