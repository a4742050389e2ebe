"""LT029 and LT032: stored tensors against the model and the configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from check_models import inventory, subject
from one_rule import found
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

from lorascope.checking import Example
from lorascope.checking.rules.lt029_tensors_do_not_fit import RULE
from lorascope.checking.rules.lt032_name_like_prefix import RULE as PREFIX
from lorascope.checking.translated import _TRANSLATED, is_translated
from lorascope.core.recipe import Edit
from lorascope.matching.stored_tensors import Adapted, adapter_tensors

Shapes = dict[str, tuple[int, ...]]
_QV = {"r": 8, "target_modules": ["q_proj", "v_proj"]}


def _stored(model: str, config: Mapping[str, Any], task_type: str | None = None) -> Shapes:
    """Tensors that PEFT writes for a configuration (tested against PEFT in tests/planning)."""
    known = subject(Example(model, config, task_type=task_type))
    assert known.match is not None
    adapted = [Adapted(m, t.rank, t.is_parameter) for t, m in known.adapted]
    saved = [each.path for each in known.match.saved]
    tensors = adapter_tensors(inventory(model, task_type), adapted, saved, config)
    return {tensor.name: tensor.shape for tensor in tensors}


def _renamed(shapes: Shapes, change: Callable[[str], str]) -> Shapes:
    return {change(name): shape for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("Llama-3.1-8B", _QV),
        ("Llama-3.1-8B", _QV | {"use_dora": True}),
        ("Llama-3.1-8B", _QV | {"modules_to_save": ["lm_head"]}),
        ("Llama-3.1-8B", _QV | {"target_modules": ["q_proj", "embed_tokens"]}),
        ("Llama-3.1-8B", _QV | {"rank_pattern": {"q_proj": 4}}),
        ("Llama-3.1-8B", _QV | {"init_lora_weights": "pissa", "r": 2048}),
        ("GPT-2", {"target_modules": ["c_attn", "wte"], "bias": "lora_only"}),
        ("Qwen3-30B-A3B", {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"]}),
        ("gpt-oss-20b", {"target_parameters": ["experts.down_proj"], "target_modules": ["q_proj"]}),
        ("Gemma-3-4B", _QV),
    ],
)
def test_what_peft_saves_fits(model: str, config: dict[str, object]) -> None:
    shapes = _stored(model, config)
    assert shapes
    assert found(RULE, model, config, tensors=shapes) == ()
    named = _renamed(shapes, lambda name: name.replace(".lora_A.", ".lora_A.default."))
    assert found(RULE, model, config, tensors=named) == ()


# That PEFT does so is asked in tests/rewriting/test_refused_adapters.py.
@pytest.mark.parametrize("model", ["Llama-3.1-8B", "Qwen3-30B-A3B", "Gemma-3-4B"])
def test_names_without_prefix_are_lost_where_peft_renames_nothing(model: str) -> None:
    shapes = _stored(model, _QV)
    bare = _renamed(shapes, lambda name: name.removeprefix("base_model.model."))
    findings = found(RULE, model, _QV, tensors=bare)
    if model != "Llama-3.1-8B":
        assert findings == ()
        return
    [finding] = findings
    assert finding.severity == "error"
    assert finding.message.startswith("128 of 128 tensors are named without base_model.model. at")
    assert finding.hint == "Put base_model.model. before the name of each tensor."


def test_buffers_of_modules_that_are_saved_whole() -> None:
    config = _QV | {"target_modules": ["o_proj"], "modules_to_save": ["gate"]}
    shapes = _stored("DeepSeek-V3", config)
    gates = [name.removesuffix(".weight") for name in shapes if name.endswith(".gate.weight")]
    assert gates
    buffers = {f"{gate}.e_score_correction_bias": (256,) for gate in gates}
    assert found(RULE, "DeepSeek-V3", config, tensors={**shapes, **buffers}) == ()
    plain = {name: shape for name, shape in shapes.items() if "lora_" in name}
    without = {key: value for key, value in config.items() if key != "modules_to_save"}
    assert found(RULE, "DeepSeek-V3", without, tensors={**plain, **buffers}) != ()


def test_other_size_of_the_model() -> None:
    shapes = _stored("Llama-3.1-8B", _QV)
    findings = found(RULE, "Qwen2.5-0.5B", _QV, tensors=shapes)
    assert "another size of model" in findings[0].message
    assert "8 × 4096" in findings[0].message
    assert "8 × 896" in findings[0].message


def test_default_sizes_of_a_model_type_are_not_compared() -> None:
    shapes = _stored("Llama-3.1-8B", _QV)
    assert found(RULE, "qwen2", _QV, tensors=shapes) == ()


def test_other_rank() -> None:
    shapes = _stored("Llama-3.1-8B", _QV | {"r": 16})
    [finding] = found(RULE, "Llama-3.1-8B", _QV, tensors=shapes)
    assert (finding.where, finding.severity) == ("r", "error")
    assert "stored with 16, and 8 is wanted" in finding.message
    assert finding.hint == "Set r to 16: all stored tensors have this rank, and r is 8."
    assert finding.edits == (Edit("r", None, 16),)


def test_other_ranks_in_some_modules_alone() -> None:
    shapes = _stored("Llama-3.1-8B", _QV | {"rank_pattern": {"v_proj": 16}})
    [finding] = found(RULE, "Llama-3.1-8B", _QV, tensors=shapes)
    assert "rank_pattern" in finding.hint
    assert finding.edits == ()


def test_text_only_names_on_a_multimodal_class() -> None:
    config = _QV | {"target_modules": r".*language_model.*\.(q|v)_proj"}
    shapes = _stored("Gemma-3-4B", config)
    text = {n.replace("model.model.language_model.", "model.model."): s for n, s in shapes.items()}
    [finding] = found(RULE, "Gemma-3-4B", config, tensors=text)
    assert finding.severity == "error"
    assert "model.language_model." in finding.hint
    assert "Gemma3ForConditionalGeneration" in finding.message


def test_names_that_transformers_translates_are_a_warning() -> None:
    # transformers 5 maps ^language_model to model.language_model for this type, PEFT follows it.
    config = _QV | {"target_modules": r".*language_model.*\.(q|v)_proj"}
    old = _renamed(
        _stored("Gemma-3-4B", config),
        lambda name: name.replace("model.model.language_model.", "model.language_model.model."),
    )
    [finding] = found(RULE, "Gemma-3-4B", config, tensors=old)
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    ("old", "new", "model_type"),
    [
        (old, new, model_type)
        for old, new, model_types in _TRANSLATED
        for model_type in sorted(model_types)
        if old in ("language_model.", "model.", "model.language_model.")
    ],
)
def test_translations_are_those_of_transformers(old: str, new: str, model_type: str) -> None:
    mapping = get_checkpoint_conversion_mapping(model_type)
    if mapping is None:
        pytest.skip("this transformers does not know the type")
    renamed = [
        re.sub(pattern, each.target_patterns[0], f"{old}layers.0.weight")
        for each in mapping
        for pattern in each.source_patterns
    ]
    inner = [
        re.sub(pattern, each.target_patterns[0], f"{old}model.layers.0.weight")
        for each in mapping
        for pattern in each.source_patterns
    ]
    assert any(name.startswith(f"{new}layers.0") for name in (*renamed, *inner))


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "gemma3_text", "llama", None])
def test_other_types_are_not_translated(model_type: str | None) -> None:
    assert not is_translated("model.", "model.language_model.", model_type)
    assert not is_translated("model.language_model.", "model.", model_type)


def test_tensors_without_target_and_targets_without_tensor() -> None:
    shapes = _stored("Llama-3.1-8B", _QV)
    less = {name: shape for name, shape in shapes.items() if "v_proj" not in name}
    [finding] = found(RULE, "Llama-3.1-8B", _QV, tensors=less)
    assert (finding.severity, "64 tensors" in finding.message) == ("warning", True)
    [finding] = found(RULE, "Llama-3.1-8B", _QV | {"target_modules": ["q_proj"]}, tensors=shapes)
    assert (finding.severity, "64 of 128" in finding.message) == ("error", True)
    assert "v_proj" in finding.message


def test_magnitudes_without_use_dora() -> None:
    shapes = _stored("Llama-3.1-8B", _QV | {"use_dora": True})
    [finding] = found(RULE, "Llama-3.1-8B", _QV, tensors=shapes)
    assert (finding.where, finding.severity) == ("use_dora", "error")
    without = {name: shape for name, shape in shapes.items() if "magnitude" not in name}
    [finding] = found(RULE, "Llama-3.1-8B", _QV | {"use_dora": True}, tensors=without)
    assert "not in the file" in finding.message


def test_embedding_of_a_resized_vocabulary() -> None:
    shapes = _stored("Llama-3.1-8B", _QV)
    name = "base_model.model.model.embed_tokens.weight"
    assert found(RULE, "Llama-3.1-8B", _QV, tensors={**shapes, name: (128256, 4096)}) == ()
    [finding] = found(RULE, "Llama-3.1-8B", _QV, tensors={**shapes, name: (128264, 4096)})
    assert "resize_token_embeddings(128264)" in finding.hint


def test_shards_that_were_not_gathered() -> None:
    shapes = dict.fromkeys(_stored("Llama-3.1-8B", _QV), (0,))
    [finding] = found(RULE, "Llama-3.1-8B", _QV, tensors=shapes)
    assert "without any element" in finding.message


def _single_experts(config: Mapping[str, Any], model: str, holder: str) -> Shapes:
    shapes = {n: s for n, s in _stored(model, config).items() if "experts" not in n}
    for expert in range(2):
        for name in ("gate_proj", "up_proj", "down_proj"):
            start = f"base_model.model.{holder}.experts.{expert}.{name}"
            shapes[f"{start}.lora_A.weight"] = (8, 2048)
            shapes[f"{start}.lora_B.weight"] = (768, 8)
    return shapes


def test_single_experts_are_merged_where_peft_knows_how() -> None:
    config = {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"]}
    shapes = _single_experts(config, "Qwen3-30B-A3B", "model.layers.0.mlp")
    assert found(RULE, "Qwen3-30B-A3B", config, tensors=shapes) == ()


def test_single_experts_elsewhere_are_lost() -> None:
    config = {"target_modules": ["q_proj"]}
    shapes = _single_experts(config, "gpt-oss-20b", "model.layers.0.mlp")
    [finding] = found(RULE, "gpt-oss-20b", config, tensors=shapes)
    assert finding.severity == "error"
    assert "12 tensors belong to single experts" in finding.message


def test_adapter_named_like_the_prefix() -> None:
    shapes = _renamed(_stored("GPT-2", {"target_modules": ["c_attn"]}), _cut)
    config = {"target_modules": ["c_attn"]}
    [finding] = found(PREFIX, "GPT-2", config, tensors=shapes)
    assert finding.severity == "error"
    assert "c_attn.lora_A.weight" in finding.hint
    assert found(RULE, "GPT-2", config, tensors=shapes) == ()


def _cut(name: str) -> str:
    """What PEFT up to 0.13 makes of `lora_A.lora.weight` when it takes out `.lora`."""
    return name.replace(".lora_", "_")
