"""`lorascope.check` with what Python code has at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

import builders
import lorascope
from lorascope import api
from lorascope.api import CheckRequest
from lorascope.api.bases import BaseModels
from lorascope.core.errors import (
    ModelReferenceError,
    NoLoraError,
    RecipeError,
    SpecificationError,
)


def tiny_llama() -> LlamaForCausalLM:
    config = LlamaConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=48,
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config)


def test_mapping_against_a_module() -> None:
    checked = lorascope.check({"target_modules": ["q_proj", "v_projj"], "r": 4}, tiny_llama())
    assert [finding.code for finding in checked.findings] == ["LT002"]
    assert [entry.matched for entry in checked.entries] == [2, 0]
    assert checked.trainable_params == 2 * 4 * (16 + 16)


def test_lora_config_and_peft_model_before_and_after_injection_agree() -> None:
    config = LoraConfig(r=4, target_modules=["q_proj", "x_proj"], task_type="CAUSAL_LM")
    model = tiny_llama()
    before = lorascope.check(config, model)
    wrapped = get_peft_model(model, config)
    after = lorascope.check(wrapped)
    assert before.trainable_params == after.trainable_params
    assert after.trainable_params == wrapped.get_nb_trainable_parameters()[0]
    codes = [[finding.code for finding in checked.findings] for checked in (before, after)]
    assert codes == [["LT002"], ["LT002"]]


def test_unknown_field_of_a_mapping_is_told() -> None:
    checked = lorascope.check({"target_modules": ["q_proj"], "rank": 8}, tiny_llama())
    assert "LT039" in [finding.code for finding in checked.findings]


def test_path_of_an_adapter(tmp_path: Path) -> None:
    fields = {"peft_type": "LORA", "target_modules": ["q_proj", "v_proj"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(fields))
    for path in (tmp_path, str(tmp_path / "adapter_config.json")):
        assert lorascope.check(path, tiny_llama()).findings == ()
    with pytest.raises(ModelReferenceError, match="names no base model"):
        lorascope.check(tmp_path)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read from int"):
        lorascope.check(3, tiny_llama())
    with pytest.raises(NoLoraError, match="IA3"):
        lorascope.check({"peft_type": "IA3", "target_modules": ["q_proj"]}, tiny_llama())
    with pytest.raises(SpecificationError, match="No serving engine"):
        lorascope.check({"target_modules": ["q_proj"]}, tiny_llama(), serve=["vlm"])
    script = tmp_path / "train.sh"
    command = "trl sft --model_name_or_path a/b --use_peft --lora_target_modules q_proj v_proj\n"
    script.write_text(command * 2)
    with pytest.raises(RecipeError, match="holds 2 configurations"):
        lorascope.check(script, tiny_llama())


def test_files_of_one_model_build_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    inventory = lorascope.inspect(tiny_llama())

    def base(self: object, *names: object) -> object:
        built.append(names)
        return inventory

    monkeypatch.setattr("lorascope.api.bases.BaseModels._base", base)
    for number in range(5):
        (tmp_path / f"{number}.yaml").write_text(
            "base_model: owner/name\nadapter: lora\nlora_target_modules: [q_proj, v_proj]\n"
        )
    files = api.check_files([tmp_path], CheckRequest())
    assert [len(file.checks) for file in files] == [1] * 5
    assert len(built) == 1


def test_which_bases_are_named_is_told_before_the_first_file(tmp_path: Path) -> None:
    text = "base_model: {}\nadapter: lora\nlora_target_modules: [q_proj]\n"
    for number, base in enumerate(("owner/a", "owner/b", "")):
        (tmp_path / f"{number}.yaml").write_text(text.format(base))
    (tmp_path / "broken.yaml").write_text("adapter: lora\n  lora_r: [")
    told: list[object] = []
    api.check_files(
        [tmp_path],
        CheckRequest(bases=BaseModels(offline=True)),
        on_file=lambda done, of, path: told.append(done),
        on_bases=lambda names: told.append([each.name for each in names]),
    )
    assert told == [["owner/a", "owner/b"], 0, 1, 2, 3]


def test_one_base_model_for_all_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "0.yaml").write_text("base_model: a/b\nadapter: lora\nlora_target_linear: true\n")
    told: list[object] = []
    api.check_files([tmp_path], CheckRequest(model=builders.llama()), on_bases=told.append)
    assert told == []
