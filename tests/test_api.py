"""The verbs as functions: cache, headers where nothing can be built, and the forms they take."""

import importlib.util
import json
import subprocess
import sys

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

import lorascope
from lorascope import api
from lorascope.core.errors import (
    MissingDependencyError,
    ModelReferenceError,
    RemoteCodeError,
    SpecificationError,
)
from lorascope.core.spec import LoraSpec

SIZES = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 32,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LORASCOPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def directory(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SIZES))
    return folder


@pytest.fixture
def checkpoint(directory):
    """A directory with weights, whose class only code of its repository could build."""
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    save_file(dict(model.state_dict()), directory / "model.safetensors")
    config = {**SIZES, "model_type": "secret", "auto_map": {"AutoModel": "modeling.Model"}}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def test_the_second_answer_comes_from_the_cache_and_is_the_same(directory):
    first, second = lorascope.inspect(directory), lorascope.inspect(directory)
    assert (first.built_with.method, second.built_with.method) == ("meta", "cache")
    assert (first.model, first.modules) == (second.model, second.modules)


def test_one_entry_serves_every_name_of_the_same_config(directory, tmp_path):
    lorascope.inspect(directory)
    twin = tmp_path / "twin.json"
    twin.write_text((directory / "config.json").read_text())
    found = lorascope.inspect(twin)
    assert (found.built_with.method, found.model.reference) == ("cache", str(twin))


def test_a_cache_that_cannot_be_used_is_said_and_no_error(directory, tmp_path):
    (tmp_path / "cache").write_text("a file")
    inventory = lorascope.inspect(directory)
    assert inventory.built_with.method == "meta"
    assert "cache" in inventory.model.notes[0]
    assert "cannot be" in inventory.model.notes[0]


def test_refresh_and_no_cache_build_anew(directory, tmp_path):
    assert lorascope.inspect(directory, cache=False).built_with.method == "meta"
    assert not (tmp_path / "cache").exists()
    lorascope.inspect(directory)
    assert lorascope.inspect(directory, refresh=True).built_with.method == "meta"


def test_a_module_and_its_config_give_the_same_modules(directory):
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**SIZES))
    assert lorascope.inspect(model).modules == lorascope.inspect(directory).modules


def test_groups_are_full_names_in_model_order(directory):
    groups = lorascope.inspect(directory).groups()
    assert groups["attention"][:4] == [
        f"model.layers.0.self_attn.{name}_proj" for name in ("q", "k", "v", "o")
    ]
    assert groups["ffn"][3:] == [
        f"model.layers.1.mlp.{name}_proj" for name in ("gate", "up", "down")
    ]


def test_repository_code_gives_way_to_checkpoint_headers(checkpoint):
    inventory = lorascope.inspect(checkpoint)
    assert inventory.built_with.method == "checkpoint"
    found = inventory.by_path["model.layers.1.self_attn.k_proj"]
    assert (found.in_features, found.out_features, found.kind_inferred) == (16, 8, True)
    assert "auto_map" in inventory.model.notes[0]


def test_repository_code_without_checkpoint_is_refused(checkpoint):
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(RemoteCodeError, match="--trust-remote-code"):
        lorascope.inspect(checkpoint)


def test_a_directory_with_weights_alone_is_read_from_headers(checkpoint):
    (checkpoint / "config.json").unlink()
    assert len(lorascope.inspect(checkpoint).groups()["attention"]) == 8


def test_a_plan_names_its_base_so_that_it_is_found_from_anywhere(directory, monkeypatch):
    monkeypatch.chdir(directory)
    config = lorascope.plan(".").adapter_config
    assert config["base_model_name_or_path"] == str(directory)


def test_numbers_that_transformers_writes_in_its_own_way_are_read(tmp_path):
    from transformers import Mamba2Config

    Mamba2Config(num_hidden_layers=1).save_pretrained(tmp_path)
    assert "__float__" in (tmp_path / "config.json").read_text()
    assert lorascope.inspect(tmp_path).model.cls == "Mamba2ForCausalLM"


def test_a_type_newer_than_transformers_is_read_from_headers(checkpoint):
    config = {**SIZES, "model_type": "llama_of_next_year"}
    (checkpoint / "config.json").write_text(json.dumps(config))
    inventory = lorascope.inspect(checkpoint)
    assert inventory.built_with.method == "checkpoint"
    assert "llama_of_next_year" in inventory.model.notes[0]
    assert len(inventory.groups()["attention"]) == 8


@pytest.fixture
def _without_torch(monkeypatch):
    find = importlib.util.find_spec
    hidden = {"torch", "transformers"}
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in hidden else find(name, *rest),
    )


@pytest.mark.usefixtures("_without_torch")
def test_without_torch_headers_answer(checkpoint):
    assert len(lorascope.inspect(checkpoint).groups()["ffn"]) == 6


@pytest.mark.usefixtures("_without_torch")
def test_without_torch_and_headers_the_command_that_installs_it_is_named(directory):
    with pytest.raises(MissingDependencyError, match=r"pip install 'lorascope\[torch\]'"):
        lorascope.inspect(directory)


def test_without_torch_the_cache_answers_whoever_filled_it(directory, monkeypatch, request):
    built = lorascope.inspect(directory)
    request.getfixturevalue("_without_torch")
    monkeypatch.setattr("lorascope.source.cache_key.installed_version", lambda name: None)
    found = lorascope.inspect(directory)
    assert (found.built_with.method, found.modules) == ("cache", built.modules)
    assert found.built_with.transformers == built.built_with.transformers


def test_a_plan_becomes_the_lora_config_that_peft_reads(directory):
    config = lorascope.plan(directory, preset="extended").to_peft()
    assert isinstance(config, LoraConfig)
    assert config.target_modules == {"q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"}
    assert config.rank_pattern == {"gate_proj": 4, "up_proj": 4, "down_proj": 4}


def test_match_takes_a_configuration_in_every_form(directory, tmp_path):
    inventory = lorascope.inspect(directory)
    config = LoraConfig(target_modules=["q_proj"], r=4)
    config.save_pretrained(tmp_path)
    forms = [
        config,
        config.to_dict(),
        tmp_path,
        tmp_path / "adapter_config.json",
        LoraSpec.from_dict(config.to_dict()),
    ]
    found = [lorascope.match(form, inventory) for form in forms]
    assert {match.trainable_params for match in found} == {2 * 4 * (16 + 16)}


def test_answers_follow_the_installed_peft(directory, monkeypatch):
    import lorascope.source.versions

    monkeypatch.setattr(lorascope.source.versions, "installed_version", lambda name: "0.20.0")
    assert lorascope.match({"target_modules": ["q_proj"]}, directory).peft_version == "0.20.0"
    monkeypatch.setattr(lorascope.source.versions, "installed_version", lambda name: "0.19.1")
    with pytest.raises(SpecificationError, match=r"0.19.1 .*Supported are 0.20.0 to"):
        lorascope.match({"target_modules": ["q_proj"]}, directory)


def test_match_of_something_else_says_what_it_takes(directory):
    with pytest.raises(SpecificationError, match="cannot be read from int"):
        api.read_spec(3)


@pytest.mark.parametrize("wrong", [5, None, {}, torch.zeros(2)])
def test_what_is_no_model_is_refused(wrong):
    with pytest.raises(ModelReferenceError, match="cannot be read from"):
        lorascope.inspect(wrong)


def test_a_path_longer_than_any_is_one_error(directory):
    with pytest.raises(ModelReferenceError, match="cannot be read"):
        lorascope.match("a" * 400, directory)


def test_a_missing_reference_is_one_error():
    with pytest.raises(ModelReferenceError):
        lorascope.inspect("./no/such/place")


def test_importing_lorascope_imports_nothing_heavy():
    code = (
        "import lorascope, sys; print(sorted({'torch', 'transformers', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_had_and_no_other():
    assert all(hasattr(lorascope, name) for name in lorascope.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        _ = lorascope.fly
