from __future__ import annotations

import json
from pathlib import Path

import pytest

import lorascope.source.examples as module
from lorascope.source.config_fields import stated_config
from lorascope.source.examples import (
    Example,
    example_of_hub_id,
    find_example,
    list_examples,
    nearest_names,
)

PROMISED = {
    "Llama-3.1-8B", "Mistral-7B", "Phi-2", "Phi-3-mini", "Qwen3-8B", "Qwen3-30B-A3B",
    "gpt-oss-20b", "Mixtral-8x7B", "DeepSeek-V3", "Gemma-3-4B", "Qwen2.5-VL-7B", "Falcon-7B",
    "GPT-2", "Mamba-2.8B", "Jamba", "Qwen3-Next-80B", "SmolLM2-135M", "T5-base", "BERT-base",
    "Whisper-small",
}  # fmt: skip


@pytest.mark.parametrize("example", list_examples(), ids=lambda example: example.name)
def test_the_class_that_transformers_builds_has_the_published_parameters(example: Example) -> None:
    import torch
    import transformers

    config = transformers.AutoConfig.for_model(**example.config)
    cls = getattr(transformers, example.config["architectures"][0])
    with torch.device("meta"):
        model = cls(config)
    model.tie_weights()
    assert sum(parameter.numel() for parameter in model.parameters()) == example.parameters


@pytest.mark.parametrize("example", list_examples(), ids=lambda example: example.name)
def test_a_file_says_what_it_is(example: Example) -> None:
    assert example.source.startswith(f"https://huggingface.co/{example.hub_id}/")
    assert example.about
    assert len(example.config["architectures"]) == 1
    assert "hidden_size" in stated_config(example.config).text.stated


def test_names_are_unique_file_names_and_those_promised_are_there() -> None:
    names = [example.name for example in list_examples()]
    folder = Path(module.__file__).parent / "examples"
    assert sorted(names) == sorted(path.stem for path in folder.iterdir())
    assert len({name.casefold() for name in names}) == len(names) >= 24
    assert set(names) >= PROMISED
    assert len({example.hub_id for example in list_examples()}) == len(names)
    for path in folder.iterdir():
        assert json.loads(path.read_text("utf-8"))["name"] == path.stem


def test_names_and_hub_ids_are_found_in_any_case() -> None:
    found = find_example("llama-3.1-8b")
    assert found is not None
    assert found.hub_id == "meta-llama/Llama-3.1-8B"
    assert example_of_hub_id("META-llama/llama-3.1-8b") is found
    assert find_example("llama") is None
    assert example_of_hub_id("meta-llama/Llama-4") is None


def test_a_misspelt_name_has_neighbours() -> None:
    assert nearest_names("Qwen3-30B")[0] == "Qwen3-30B-A3B"
    assert nearest_names("lama", frozenset({"llama", "mistral"}))[0] == "llama"
    assert nearest_names("") == []
    assert nearest_names("x" * 10_000) == []
