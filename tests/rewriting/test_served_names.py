"""An adapter of a language model, named for the multimodal model around it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn
from trained_adapters import (
    adapt,
    assert_same,
    config_of,
    peft_deltas_on,
    tensors_of,
    tiny_models,
    train,
    train_on,
)

import lorascope
from lorascope.core.errors import AdapterError
from lorascope.core.inventory import Inventory

TARGETS = ["q_proj", "v_proj", "down_proj"]


def text_model() -> nn.Module:
    torch.manual_seed(0)
    return transformers.Gemma3ForCausalLM(tiny_models.config("gemma3").text_config)


@cache
def text_inventory() -> Inventory:
    return lorascope.inspect(text_model(), observe=False)


@cache
def wrapper_inventory() -> Inventory:
    return lorascope.inspect(tiny_models.on_meta("gemma3"), observe=False)


def test_text_adapter_on_the_wrapper(tmp_path: Path) -> None:
    trained = train_on(text_model(), tmp_path / "t", r=4, target_modules=TARGETS)
    served = tmp_path / "served"
    done = lorascope.adapt(
        trained, "vllm", served, model=text_inventory(), for_model=wrapper_inventory()
    )
    names = {name.split(".layers.")[0] for name in tensors_of(served)}
    assert names == {"base_model.model.model.language_model"}
    found = peft_deltas_on(tiny_models.with_weights("gemma3"), served)
    wanted = peft_deltas_on(text_model(), trained)
    assert_same(
        found,
        {name.replace("model.", "model.language_model.", 1): d for name, d in wanted.items()},
    )
    assert done.changes[0].text == (
        "12 modules renamed: model.layers.0.self_attn.q_proj is now "
        "model.language_model.layers.0.self_attn.q_proj."
    )
    assert set(config_of(served)["target_modules"]) != set(TARGETS)  # the vision tower has q_proj


def test_wrapper_adapter_on_the_text_model(tmp_path: Path) -> None:
    pattern = r".*language_model.*(q|v|down)_proj"
    model = tiny_models.with_weights("gemma3")
    trained = train_on(model, tmp_path / "t", r=4, target_modules=pattern)
    served = tmp_path / "served"
    lorascope.adapt(
        trained, "sglang", served, model=wrapper_inventory(), for_model=text_inventory()
    )
    assert sorted(config_of(served)["target_modules"]) == sorted(TARGETS)
    wanted = peft_deltas_on(tiny_models.with_weights("gemma3"), trained)
    found = peft_deltas_on(text_model(), served)
    assert_same(found, {name.replace("language_model.", ""): d for name, d in wanted.items()})


def test_a_tower_that_the_other_model_lacks_is_refused(tmp_path: Path) -> None:
    model = tiny_models.with_weights("gemma3")
    trained = train_on(model, tmp_path / "t", r=4, target_modules=["q_proj", "fc1"])
    with pytest.raises(AdapterError, match=r"fc1 has no module of its name there") as caught:
        lorascope.adapt(trained, "vllm", model=wrapper_inventory(), for_model=text_inventory())
    assert "does not fit" in caught.value.what


def test_a_model_of_another_size_is_refused(tmp_path: Path) -> None:
    trained = train("llama_seq_cls", tmp_path / "t", r=4, target_modules=["q_proj", "down_proj"])
    config = tiny_models.config("llama")
    config.intermediate_size = 40
    with torch.device("meta"):
        other = lorascope.inspect(transformers.LlamaForCausalLM(config), observe=False)
    message = r"down_proj \(48 to 32\) has the name of .*down_proj \(40 to 32\), of another size"
    with pytest.raises(AdapterError, match=message):
        adapt(trained, "vllm", "llama_seq_cls", for_model=other)


def test_names_that_are_not_unique_are_refused(tmp_path: Path) -> None:
    trained = train("bert_seq_cls", tmp_path / "t", r=4, target_modules=["query"])
    with torch.device("meta"):
        two = nn.ModuleDict(
            {name: transformers.BertModel(tiny_models.config("bert_seq_cls")) for name in "ab"}
        )
    with pytest.raises(AdapterError, match=r"may be a\.encoder.*query or b\.encoder.*query"):
        adapt(trained, "peft", "bert_seq_cls", for_model=lorascope.inspect(two, observe=False))
