"""What was read of the engines' classes, and that engines.toml says the same."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from lorascope.serving.engines import Feature, engines
from lorascope.serving.facts import Facts, facts_of, read_facts

FIELDS = {
    "dora": "use_dora",
    "lora_bias": "lora_bias",
    "bias": "bias",
    "modules_to_save": "modules_to_save",
    "layer_replication": "layer_replication",
}
"""Features that vLLM refuses by a field of the configuration."""


def facts(engine: str) -> Facts:
    found = facts_of(engine)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_one_version_each(name: str) -> None:
    assert facts(name).version == engines()[name].version
    assert facts(name).version in facts(name).archive


def test_no_facts_of_other_engines() -> None:
    assert facts_of("tgi") is None


def test_limits_of_vllm() -> None:
    engine, stated = engines()["vllm"], facts("vllm").stated
    assert list(engine.ranks) == stated["ranks"]
    assert engine.usual_rank == stated["usual_rank"]
    assert sorted(engine.saves) == stated["saved_modules"]
    refused = {feature for feature, field in FIELDS.items() if field in stated["refuses"]}
    assert refused == engine.refuses & set(FIELDS)


def test_vllm_reads_patterns_and_rslora() -> None:
    is_read = {"rank_pattern", "alpha_pattern", "use_rslora"} <= set(facts("vllm").stated["reads"])
    assert is_read == (engines()["vllm"].scale == "as-trained")
    assert is_read != (Feature.PATTERNS in engines()["vllm"].refuses)


def test_sglang_reads_neither() -> None:
    read = facts("sglang").stated["reads"]
    assert not {"rank_pattern", "alpha_pattern", "use_rslora"} & set(read)
    assert engines()["sglang"].scale == "one-for-all-without-rslora"
    assert ("use_dora" in read) == (Feature.DORA in engines()["sglang"].refuses)


def test_a_class_with_packed_layers() -> None:
    llama = facts("vllm").classes["LlamaForCausalLM"]
    assert llama.packed is not None
    assert llama.packed["qkv_proj"] == ("q_proj", "k_proj", "v_proj")
    assert llama.takes is not None
    assert {"q_proj", "up_proj", "down_proj", "lm_head", "embed_tokens"} <= llama.takes
    assert not {"qkv_proj", "gate_up_proj"} & llama.takes


def test_a_class_whose_checkpoint_is_packed_already() -> None:
    phi = facts("vllm").classes["Phi3ForCausalLM"]
    assert phi.takes is not None
    assert {"qkv_proj", "gate_up_proj"} <= phi.takes
    assert "q_proj" not in phi.takes


def test_classes_that_take_no_adapters() -> None:
    taking = [each.lora for each in facts("vllm").classes.values()]
    assert 0 < taking.count(False) < len(taking) / 2


@pytest.mark.parametrize(
    ("architecture", "found"),
    [
        ("LlamaForCausalLM", "LlamaForCausalLM"),
        ("Qwen3ForTokenClassification", "Qwen3ForCausalLM"),
        ("ArceeForCausalLM", "TransformersForCausalLM"),
        ("NoneForCausalLM", None),
        ("Other", None),
    ],
)
def test_architectures_stand_for_each_other(architecture: str, found: str | None) -> None:
    cls = facts("vllm").class_of(architecture)
    assert (None if cls is None else cls.name) == found


def test_names_of_a_multimodal_checkpoint() -> None:
    cls = facts("vllm").classes["Qwen2_5_VLForConditionalGeneration"]
    old, new = "model.layers.0.mlp.up_proj", "language_model.model.layers.0.mlp.up_proj"
    assert cls.renamed(old) == cls.renamed(f"model.language_model.{old[6:]}") == new
    assert cls.renamed("model.visual.blocks.0.attn.qkv") == "visual.blocks.0.attn.qkv"


def test_the_schema_is_closed() -> None:
    text = files("lorascope.serving").joinpath("sglang.json").read_text("utf-8")
    data = json.loads(text)
    data["classes"]["LlamaForCausalLM"]["other"] = 1
    with pytest.raises(ValueError, match="LlamaForCausalLM.*other"):
        read_facts(json.dumps(data))


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_the_file_is_as_the_script_writes_it(name: str) -> None:
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))
    from engine_facts import as_text

    text = files("lorascope.serving").joinpath(f"{name}.json").read_text("utf-8")
    assert as_text(json.loads(text)) == text
    assert len(text) < 150_000
