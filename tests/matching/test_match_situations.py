"""The situations of PEFT's own tests, one by one, with the reasons that a reader gets.

Sources of the situations: peft 0.21.2, `tests/test_tuners_utils.py`, `test_initialization.py`,
`test_integrations.py`, `test_target_parameters.py` and `test_custom_models.py`.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import pytest
import torch
from match_models import hand_made, real
from torch import nn

from lorascope.core.errors import SpecificationError
from lorascope.core.spec import LoraSpec
from lorascope.matching import Match, Reason, Where, match


def hit(model: str, **fields: Any) -> Match:
    return match(real(model).inventory, LoraSpec(**fields))


def paths(found: Match) -> set[str]:
    return {target.path for target in found.targets}


def last_parts(found: Match) -> set[str]:
    return {path.rpartition(".")[2] for path in paths(found)}


def entry(found: Match, where: Where, text: str) -> Any:
    return next(each for each in found.entries_of(where) if each.entry == text)


def test_a_list_names_full_names_and_suffixes_at_dots() -> None:
    found = hit("llama", target_modules=("q_proj", "model.layers.0.self_attn.v_proj", "proj"))
    assert paths(found) == {
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.0.self_attn.v_proj",
    }
    reasons = {target.path: target.reason for target in found.targets}
    assert reasons["model.layers.0.self_attn.v_proj"] is Reason.EXACT_NAME
    assert reasons["model.layers.1.self_attn.q_proj"] is Reason.LIST_SUFFIX
    assert entry(found, Where.TARGET_MODULES, "q_proj").matched == 2
    assert entry(found, Where.TARGET_MODULES, "proj").matched == 0
    assert "no name ends with" in entry(found, Where.TARGET_MODULES, "proj").reason


def test_a_string_is_one_pattern_for_the_whole_name() -> None:
    found = hit("llama", target_modules=r".*\.1\..*(q_proj|v_proj)")
    assert paths(found) == {"model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"}
    assert {target.reason for target in found.targets} == {Reason.REGEX}
    with pytest.raises(SpecificationError, match="Target modules q_proj not found"):
        hit("llama", target_modules="q_proj")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "llama",
            {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
        ),
        ("gpt2", {"c_attn", "c_proj", "c_fc"}),
        ("t5", {"q", "k", "v", "o", "wi", "wo"}),
    ],
)
def test_all_linear(model: str, expected: set[str]) -> None:
    for spelling in ("all-linear", "ALL-linear"):
        found = hit(model, target_modules=spelling)
        assert last_parts(found) == expected
        assert {target.reason for target in found.targets} == {Reason.ALL_LINEAR}


def test_all_linear_in_a_list_is_just_a_name() -> None:
    with pytest.raises(SpecificationError, match="not found in the base model"):
        hit("llama", target_modules=("all-linear",))


def test_all_linear_leaves_the_classifier_head_to_modules_to_save() -> None:
    found = hit("bert", target_modules="all-linear", task_type="SEQ_CLS")
    assert "classifier" not in paths(found)
    assert [module.path for module in found.saved] == ["classifier"]
    assert found.trainable_params == sum(t.params for t in found.targets) + found.saved[0].params


def test_all_linear_for_token_classification_fails_on_the_head() -> None:
    with pytest.raises(SpecificationError, match="'classifier'"):
        hit("bert_tokens", target_modules="all-linear", task_type="TOKEN_CLS")


def test_layer_index_and_not_expert_index() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.ModuleList(nn.ModuleDict({"up": nn.Linear(2, 2)}) for _ in range(3))

    with torch.device("meta"):
        model = nn.ModuleDict({"model": nn.ModuleDict()})
        model["model"]["layers"] = nn.ModuleList(Experts() for _ in range(2))
    spec = LoraSpec(target_modules=("up",), layers_to_transform=(1, 7))
    found = match(hand_made(model).inventory, spec)
    assert paths(found) == {f"model.layers.1.experts.{expert}.up" for expert in range(3)}
    assert entry(found, Where.LAYERS_TO_TRANSFORM, "7").matched == 0
    assert entry(found, Where.LAYERS_TO_TRANSFORM, "1").matched == 3
    by_expert = match(hand_made(model).inventory, replace(spec, layers_pattern="experts"))
    assert paths(by_expert) == {f"model.layers.{layer}.experts.1.up" for layer in range(2)}


def test_a_full_name_passes_by_the_layers() -> None:
    found = hit(
        "llama",
        target_modules=("q_proj", "model.layers.0.self_attn.v_proj"),
        layers_to_transform=1,
        layers_pattern="layers",
    )
    assert paths(found) == {"model.layers.1.self_attn.q_proj", "model.layers.0.self_attn.v_proj"}


def test_layers_with_a_string_are_refused() -> None:
    with pytest.raises(SpecificationError, match="layers_to_transform cannot be used"):
        hit("llama", target_modules=".*q_proj", layers_to_transform=1)
    with pytest.raises(SpecificationError, match="layers_pattern is given"):
        hit("llama", target_modules=("q_proj",), layers_pattern="layers")


def test_exclusions_by_list_and_by_pattern() -> None:
    by_list = hit(
        "llama", target_modules=("q_proj",), exclude_modules=("0.self_attn.q_proj", "mlp", "x")
    )
    assert paths(by_list) == {"model.layers.1.self_attn.q_proj"}
    assert by_list.excluded == ("model.layers.0.self_attn.q_proj",)
    assert entry(by_list, Where.EXCLUDE_MODULES, "0.self_attn.q_proj").matched == 1
    assert "none of which is targeted" in entry(by_list, Where.EXCLUDE_MODULES, "mlp").reason
    assert "names nothing" in entry(by_list, Where.EXCLUDE_MODULES, "x").reason
    by_pattern = hit("llama", target_modules=("q_proj",), exclude_modules=r".*\.0\..*")
    assert paths(by_pattern) == paths(by_list)


def test_a_container_does_not_exclude_what_is_inside() -> None:
    found = hit("gemma3", target_modules=("q_proj",), exclude_modules=("vision_tower",))
    assert any("vision" in path for path in paths(found))


def test_error_texts_when_nothing_is_left() -> None:
    with pytest.raises(SpecificationError, match="All modules were excluded"):
        hit("llama", target_modules=("q_proj",), exclude_modules=".*")
    with pytest.raises(SpecificationError, match="No modules were targeted for adaptation"):
        hit("llama", target_modules=("q_proj",), exclude_modules=("q_proj",))
    with pytest.raises(SpecificationError, match=r"modules \['a', 'nothing'\] not found"):
        hit("llama", target_modules=("nothing", "a"))
    with pytest.raises(SpecificationError, match="No target_modules were passed"):
        hit("llama", target_modules=())
    with pytest.raises(SpecificationError, match="with layers_to_transform=9"):
        hit("llama", target_modules=("q_proj",), layers_to_transform=9)


def test_exclusions_that_exclude_nothing_are_warned_of() -> None:
    found = hit("llama", target_modules=("q_proj",), exclude_modules=("nothing",))
    assert found.warnings == ("exclude_modules='nothing' excludes no module.",)


def test_a_module_in_both_lists_is_saved_and_not_adapted() -> None:
    found = hit("llama", target_modules=("q_proj", "lm_head"), modules_to_save=("lm_head",))
    assert last_parts(found) == {"q_proj"}
    assert [(module.path, module.params) for module in found.saved] == [("lm_head", 40 * 16)]
    saved = entry(found, Where.MODULES_TO_SAVE, "lm_head")
    assert "LoRA is kept away from 1" in saved.reason


def test_modules_to_save_are_matched_letter_by_letter() -> None:
    found = hit("llama", target_modules=("q_proj",), modules_to_save=("_norm",))
    assert found.saved == ()
    with pytest.raises(SpecificationError, match="LoRA adapts it as well"):
        hit("llama", target_modules=("q_proj",), modules_to_save=("proj",))
    typo = hit("llama", target_modules=("q_proj",), modules_to_save=("lm_hed",))
    assert entry(typo, Where.MODULES_TO_SAVE, "lm_hed").matched == 0


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("lora_A", r"'model.layers.0.self_attn.q_proj.lora_A', .* is never called itself"),
        ("q_proj.lora_B.default", "a part of PEFT's own LoRA layer"),
        ("default", "q_proj.lora_dropout.default', a part of PEFT's own LoRA layer"),
        ("t", "q_proj.lora_dropout', which 't' names: .* is never called itself"),
    ],
)
def test_modules_to_save_name_parts_of_the_lora_layers_too(entry: str, told: str) -> None:
    with pytest.raises(SpecificationError, match=told):
        hit("llama", target_modules=("q_proj",), modules_to_save=(entry,))
    with pytest.raises(SpecificationError, match=told):
        hit("llama", target_modules=("q_proj",), modules_to_save=("lm_head", entry))


def test_the_layer_inside_of_lora_is_saved() -> None:
    found = hit("llama", target_modules=("q_proj",), modules_to_save=("q_proj.base_layer",))
    assert [each.path for each in found.saved] == [
        f"model.layers.{layer}.self_attn.q_proj.base_layer" for layer in range(2)
    ]
    params = sum(each.params for each in (*found.targets, *found.saved))
    assert found.trainable_params == params


def test_the_first_key_of_a_pattern_wins() -> None:
    keys = {"q_proj": 4, "model.layers.0.self_attn.q_proj": 2}
    found = hit("llama", target_modules=("q_proj",), rank_pattern=keys, lora_alpha=8)
    assert {target.rank for target in found.targets} == {4}
    undecided = entry(found, Where.RANK_PATTERN, "model.layers.0.self_attn.q_proj")
    assert undecided.matched == 0
    assert "'q_proj'" in undecided.reason
    turned = hit(
        "llama", target_modules=("q_proj",), rank_pattern=dict(reversed(keys.items())), lora_alpha=8
    )
    assert [target.rank for target in turned.targets] == [2, 4]
    assert [target.scaling for target in turned.targets] == [4, 2]


def test_a_key_with_a_caret_matches_from_the_start_or_after_a_dot() -> None:
    found = hit(
        "llama",
        target_modules=("q_proj", "lm_head"),
        alpha_pattern={"^lm_head": 32, "^q_proj": 64},
    )
    alphas = {target.path.rpartition(".")[2]: target.alpha for target in found.targets}
    assert alphas == {"q_proj": 8, "lm_head": 32}
    assert found.warnings == ("alpha_pattern: no targeted module matches '^q_proj'.",)


def test_rank_stabilized_scaling() -> None:
    found = hit("llama", target_modules=("q_proj",), r=4, lora_alpha=6, use_rslora=True)
    assert {target.scaling for target in found.targets} == {6 / sqrt(4)}


@pytest.mark.parametrize("model_type", ["mamba"])
def test_mamba_refuses_its_output_projection(model_type: str) -> None:
    for targets in (("out_proj",), ("conv1d",), "all-linear"):
        with pytest.raises(SpecificationError, match="incompatible with Mamba-based models"):
            hit(model_type, target_modules=targets)
    assert hit(model_type, target_modules=("in_proj", "x_proj")).targets


def test_another_hybrid_is_not_guarded() -> None:
    assert "out_proj" in last_parts(hit("jamba", target_modules=("out_proj",)))


def test_unsupported_classes_are_named() -> None:
    with pytest.raises(SpecificationError) as caught:
        hit("llama", target_modules=("input_layernorm",))
    assert "'model.layers.0.input_layernorm' (LlamaRMSNorm) is not supported" in caught.value.what


def test_the_rewrite_of_old_expert_names() -> None:
    found = hit("mixtral", target_modules=("q_proj", "w1", "w2", "w3"), r=4, lora_alpha=6)
    by_part = {target.path.rpartition(".")[2]: target for target in found.targets}
    assert set(by_part) == {"q_proj", "gate_up_proj", "down_proj"}
    fused = by_part["gate_up_proj"]
    assert (fused.rank, fused.alpha, fused.reason) == (8, 12, Reason.REWRITE)
    assert (by_part["down_proj"].rank, by_part["down_proj"].alpha) == (4, 6)
    assert found.effective.target_modules == ("q_proj",)
    assert set(found.effective.target_parameters or ()) == {"gate_up_proj", "down_proj"}
    assert found.effective.rank_pattern == {r".*\.gate_up_proj": 8}
    assert entry(found, Where.TARGET_MODULES, "w1").matched == 2
    assert "gate_up_proj" in entry(found, Where.TARGET_MODULES, "w1").reason


def test_a_part_of_what_is_fused_is_refused() -> None:
    with pytest.raises(SpecificationError, match="without also targeting w3"):
        hit("mixtral", target_modules=("w1",))
    with pytest.raises(SpecificationError, match="up_proj"):
        hit("qwen3_moe", target_modules=("gate_proj", "down_proj"))


def test_the_rewrite_drops_dense_and_shared_linears_of_the_same_name() -> None:
    found = hit("qwen3_moe", target_modules=("gate_proj", "up_proj", "down_proj"))
    assert {target.is_parameter for target in found.targets} == {True}
    assert all("experts" in target.path for target in found.targets)


def test_qwen2_moe_itself_is_not_rewritten() -> None:
    found = hit("qwen2_moe", target_modules=("gate_proj", "up_proj", "down_proj"))
    assert {target.is_parameter for target in found.targets} == {False}
    assert not any(".experts." in target.path for target in found.targets)


def test_the_rewrite_resolves_patterns_and_all_linear() -> None:
    by_pattern = hit("mixtral", target_modules=r".*\.(q_proj|w1|w2|w3)")
    assert last_parts(by_pattern) == {"q_proj", "gate_up_proj", "down_proj"}
    everything = hit("qwen3_moe", target_modules="all-linear")
    assert {"gate_up_proj", "down_proj", "q_proj", "weight"} <= last_parts(everything)


def test_expert_parameters_of_both_orders() -> None:
    usual = hit("qwen3_moe", target_modules=(), target_parameters=("experts.down_proj",), r=2)
    assert {target.params for target in usual.targets} == {3 * 2 * (8 + 16)}
    transposed = hit("gpt_oss", target_modules=(), target_parameters=("down_proj",), r=2)
    assert {target.params for target in transposed.targets} == {3 * 2 * (24 + 16)}


def test_two_parameters_of_one_module() -> None:
    found = hit(
        "qwen3_moe",
        target_modules=("q_proj",),
        target_parameters=("experts.gate_up_proj", "experts.down_proj", "nothing"),
    )
    assert [target.is_parameter for target in found.targets] == [False, False, True, True]
    assert entry(found, Where.TARGET_PARAMETERS, "experts.down_proj").matched == 1
    assert entry(found, Where.TARGET_PARAMETERS, "nothing").matched == 0


def test_a_weight_of_a_linear_as_parameter() -> None:
    found = hit("llama", target_modules=(), target_parameters=("q_proj.weight",), r=2)
    assert [target.params for target in found.targets] == [2 * (16 + 16)] * 2
    with pytest.raises(SpecificationError, match="already adapts"):
        hit("llama", target_modules=("q_proj",), target_parameters=("q_proj.weight",))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"lora_dropout": 0.1}, "lora_dropout=0.1"),
        ({"use_dora": True}, "use_dora=True"),
        ({"lora_bias": True}, "lora_bias=True"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out=True"),
    ],
)
def test_what_a_parameter_does_not_take(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecificationError, match="ParamWrapper does not work with") as caught:
        hit("gpt_oss", target_modules=(), target_parameters=("down_proj",), **fields)
    assert words in caught.value.what


def test_a_parameter_with_one_dimension_is_refused() -> None:
    with pytest.raises(SpecificationError, match="which has 1 dimensions"):
        hit("llama", target_modules=(), target_parameters=("input_layernorm.weight",))


def test_counts_of_each_layer_type() -> None:
    def params(model: str, target: str, **fields: Any) -> int:
        return hit(model, target_modules=(target,), r=2, **fields).targets[0].params

    assert params("llama", "q_proj") == 2 * (16 + 16)
    assert params("llama", "q_proj", use_dora=True) == 2 * (16 + 16) + 16
    assert params("llama", "q_proj", lora_bias=True) == 2 * (16 + 16) + 16
    assert params("gpt2", "c_attn") == 2 * (16 + 48)
    assert params("llama", "embed_tokens") == 2 * (40 + 16)
    assert params("llama", "embed_tokens", use_dora=True) == 2 * (40 + 16) + 16
    patch = "embeddings.patch_embedding"
    assert params("siglip", patch) == 2 * 3 * 14 * 14 + 2 * 16
    assert params("siglip", "head.attention") == 2 * (16 + 48) + 2 * (16 + 16)


def test_bias_modes() -> None:
    adapters = sum(t.params for t in hit("bert", target_modules=("query",)).targets)
    only = hit("bert", target_modules=("query",), bias="lora_only")
    assert only.bias_params == 2 * 16
    assert only.trainable_params == adapters + 2 * 16
    everywhere = hit("bert", target_modules=("query",), bias="all")
    assert everywhere.bias_params > only.bias_params
    with pytest.raises(SpecificationError, match="bias='some'"):
        hit("bert", target_modules=("query",), bias="some")


def test_tied_weights_are_warned_of_and_tied_on_request() -> None:
    plain = hit("llama_tied", target_modules=("embed_tokens",))
    assert "ensure_weight_tying is not set" in plain.warnings[0]
    tied = hit("llama_tied", target_modules=("embed_tokens",), ensure_weight_tying=True)
    assert {t.path: t.reason for t in tied.targets} == {
        "model.embed_tokens": Reason.LIST_SUFFIX,
        "lm_head": Reason.TIED,
    }
    saved = hit(
        "llama_tied",
        target_modules=("q_proj",),
        modules_to_save=("embed_tokens",),
        ensure_weight_tying=True,
    )
    assert {module.path: module.params for module in saved.saved} == {
        "model.embed_tokens": 40 * 16,
        "lm_head": 0,
    }


def test_single_tokens() -> None:
    found = hit("llama_tied", target_modules=("q_proj",), trainable_token_indices=(0, 3, 5))
    assert [(each.path, each.params) for each in found.trained_tokens] == [
        ("model.embed_tokens", 3 * 16),
        ("lm_head", 0),
    ]
    assert found.trainable_params == sum(t.params for t in found.targets) + 3 * 16
    with pytest.raises(SpecificationError, match="no index 40"):
        hit("llama", target_modules=("q_proj",), trainable_token_indices=(40,))
    with pytest.raises(SpecificationError, match=r"q_proj.lora_A', which is no embedding"):
        hit("llama", target_modules=("q_proj",), trainable_token_indices={"lora_A": (0,)})


def test_twenty_names_are_shortened_in_the_saved_configuration() -> None:
    names = tuple(f"model.layers.{i}.self_attn.{n}_proj" for i in range(2) for n in "qkvo")
    names += tuple(f"model.layers.{i}.mlp.{n}_proj" for i in range(2) for n in ("gate", "up"))
    names += tuple(f"not.there.{i}" for i in range(8))
    found = hit("llama", target_modules=names)
    assert len(names) == 20
    assert len(found.effective.target_modules or ()) < 20
    assert {target.entry for target in found.targets} == set(names[:12])
    assert {target.reason for target in found.targets} == {Reason.EXACT_NAME}


def test_the_default_of_the_model_type() -> None:
    found = hit("llama")
    assert last_parts(found) == {"q_proj", "v_proj"}
    assert {target.reason for target in found.targets} == {Reason.DEFAULT}
    assert found.effective.target_modules == ("q_proj", "v_proj")
    with pytest.raises(SpecificationError, match="no default for model type 'vit'"):
        hit("vit")


def test_what_is_not_modelled_is_refused() -> None:
    spec = LoraSpec.from_dict({"target_modules": ["q_proj"], "kasa_config": {"beta": 0.1}})
    with pytest.raises(SpecificationError, match="kasa_config.*does not model"):
        match(real("llama").inventory, spec)
    other = LoraSpec.from_dict({"target_modules": ["q_proj"], "peft_type": "IA3"})
    with pytest.raises(SpecificationError, match="peft_type=IA3"):
        match(real("llama").inventory, other)
    with pytest.raises(SpecificationError, match="layer_replication"):
        hit("llama", target_modules=("q_proj",), layer_replication=((0, 1),))


@pytest.mark.parametrize("version", ["0.19.1", "nonsense"])
def test_versions_that_are_not_modelled(version: str) -> None:
    with pytest.raises(SpecificationError, match=r"0\.21\.2"):
        match(real("llama").inventory, LoraSpec(), peft_version=version)
