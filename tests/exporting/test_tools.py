"""What is written for each tool, word by word."""

import json

import pytest
from exported import body, exported, llama, wanted

import builders
from lorascope.core.errors import ExportError
from lorascope.core.inventory import Inventory

LAST = {"layers_to_transform": [1, 2]}
RANKS = {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 8}}


def whats(to: str, inventory: Inventory | None = None, **fields: object) -> list[str]:
    return [loss.what for loss in exported(to, inventory, **fields).losses]


def test_axolotl() -> None:
    found = exported("axolotl")
    assert found.text.startswith("# LoRA for Axolotl 0.19.0, made by lorascope ")
    assert body(found) == (
        "base_model: meta-llama/Llama-3.1-8B\n"
        "adapter: lora\n"
        "lora_r: 8\n"
        "lora_alpha: 16\n"
        "lora_dropout: 0.05\n"
        "lora_target_modules: [q_proj, v_proj]\n"
    )
    assert found.losses == ()


def test_axolotl_says_ranks_layers_and_tokens() -> None:
    found = exported("axolotl", **RANKS, **LAST, trainable_token_indices=[3])
    assert body(found) == (
        "base_model: meta-llama/Llama-3.1-8B\n"
        "adapter: lora\n"
        "lora_r: 8\n"
        "lora_alpha: 16\n"
        "lora_dropout: 0.05\n"
        "lora_target_modules: [q_proj, v_proj]\n"
        "lora_rank_pattern:\n"
        "  q_proj: 4\n"
        "lora_alpha_pattern:\n"
        "  q_proj: 8\n"
        "peft_layers_to_transform: [1, 2]\n"
        "peft_trainable_token_indices: [3]\n"
    )
    assert found.losses == ()


def test_axolotl_has_no_exclusions_and_gets_what_is_left() -> None:
    found = exported("axolotl", exclude_modules=["model.layers.0.self_attn.q_proj"])
    assert "exclude" not in found.text
    assert found.losses == ()


def test_trl() -> None:
    assert body(exported("trl")) == (
        "trl sft \\\n"
        "  --model_name_or_path meta-llama/Llama-3.1-8B \\\n"
        "  --use_peft \\\n"
        "  --lora_r 8 \\\n"
        "  --lora_alpha 16 \\\n"
        "  --lora_dropout 0.05 \\\n"
        "  --lora_target_modules q_proj v_proj\n"
    )


def test_trl_reads_a_list_of_one_as_a_pattern() -> None:
    found = exported("trl", target_modules=["q_proj"])
    assert r"--lora_target_modules '.*\.q_proj'" in found.text
    assert found.losses == ()
    found = exported("trl", target_modules=["lm_head"])
    assert "--lora_target_modules lm_head\n" in found.text
    assert found.losses == ()


def test_trl_takes_layers_only_in_a_pattern() -> None:
    found = exported("trl", **LAST)
    assert r"--lora_target_modules 'model\.layers\.(1|2)\.self_attn\.(q|v)_proj'" in found.text
    assert found.losses == ()


def test_llamafactory() -> None:
    assert body(exported("llamafactory")) == (
        "model_name_or_path: meta-llama/Llama-3.1-8B\n"
        "finetuning_type: lora\n"
        "lora_rank: 8\n"
        "lora_alpha: 16\n"
        "lora_dropout: 0.05\n"
        "lora_target: q_proj,v_proj\n"
    )


def test_llamafactory_takes_names_where_a_pattern_is_meant() -> None:
    found = exported("llamafactory", target_modules=r".*layers\.1\..*[qv]_proj")
    assert "lora_target: layers.1.self_attn.q_proj,layers.1.self_attn.v_proj\n" in found.text
    assert found.losses == ()


def test_llamafactory_freezes_towers_unless_they_are_wanted() -> None:
    inventory = builders.completed(builders.multimodal(base_model="google/gemma-3-4b-it"))
    inventory = _gemma(inventory)
    text = "model.language_model.layers.0.self_attn.q_proj"
    found = exported("llamafactory", inventory, target_modules=[text])
    assert "freeze_vision_tower: true\nfreeze_multi_modal_projector: true\n" in found.text
    assert "freeze_language_model" not in found.text
    assert found.losses == ()
    found = exported("llamafactory", inventory, target_modules=r".*vision_tower.*q_proj")
    assert "freeze_vision_tower: false\n" in found.text
    assert "freeze_language_model: true\n" in found.text
    assert found.losses == ()


def _gemma(inventory: Inventory) -> Inventory:
    """The same with the names by which LLaMA-Factory knows the towers."""
    from dataclasses import replace

    def renamed(path: str) -> str:
        if path.startswith("vision."):
            return path.replace("vision.", "model.vision_tower.", 1)
        if path.startswith("projector"):
            return path.replace("projector", "model.multi_modal_projector", 1)
        return path.replace("model.", "model.language_model.", 1)

    modules = [replace(each, path=renamed(each.path)) for each in inventory.modules]
    kept = tuple(each for each in modules if each.path not in ("vision", "model"))
    return builders.completed(replace(inventory, modules=kept))


def test_llamafactory_says_pissa() -> None:
    found = exported("llamafactory", init_lora_weights="pissa_niter_4")
    assert "pissa_init: true\npissa_iter: 4\n" in found.text
    assert found.losses == ()
    assert whats("llamafactory", init_lora_weights="olora") == ["init_lora_weights"]


def test_ms_swift() -> None:
    assert body(exported("ms-swift")) == (
        "swift sft \\\n"
        "  --model meta-llama/Llama-3.1-8B \\\n"
        "  --tuner_type lora \\\n"
        "  --lora_rank 8 \\\n"
        "  --lora_alpha 16 \\\n"
        "  --lora_dropout 0.05 \\\n"
        "  --target_modules q_proj v_proj\n"
    )


def test_ms_swift_has_a_key_of_its_own_for_patterns_and_initializations() -> None:
    found = exported("ms-swift", target_modules=r".*\.[qv]_proj", init_lora_weights="olora")
    assert r"--target_regex '.*\.[qv]_proj'" in found.text
    assert "--init_weights olora" in found.text
    assert found.losses == ()
    found = exported("ms-swift", init_lora_weights=False)
    assert "--init_weights false" in found.text
    assert found.losses == ()
    assert whats("ms-swift", bias="lora_only") == ["bias"]
    assert whats("ms-swift", bias="all") == []


def test_torchtune() -> None:
    found = exported("torchtune", target_modules=["q_proj", "o_proj", "gate_proj", "up_proj"])
    assert body(found) == (
        "model:\n"
        "  _component_: torchtune.models.llama3_1.lora_llama3_1_8b\n"
        "  lora_attn_modules: [q_proj, output_proj]\n"
        "  apply_lora_to_mlp: true\n"
        "  apply_lora_to_output: false\n"
        "  lora_rank: 8\n"
        "  lora_alpha: 16\n"
        "  lora_dropout: 0.05\n"
    )
    [loss] = found.losses
    assert loss.message == (
        "3 modules would be adapted by torchtune that should not: model.layers.0.mlp.down_proj, "
        "model.layers.1.mlp.down_proj, model.layers.2.mlp.down_proj."
    )
    assert "all feed-forward modules or none" in loss.hint


def test_torchtune_needs_an_attention_module() -> None:
    mlp = ["gate_proj", "up_proj", "down_proj"]
    found = exported("torchtune", target_modules=mlp)
    assert "lora_attn_modules: [q_proj]" in found.text
    assert [loss.what for loss in found.losses] == ["targets"]


@pytest.mark.parametrize(
    ("base", "builder"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3_1.lora_llama3_1_8b"),
        ("NousResearch/Meta-Llama-3-8B", "llama3.lora_llama3_8b"),
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2_5.lora_qwen2_5_7b_instruct"),
        ("google/gemma-2b-it", "gemma.lora_gemma_2b"),
    ],
)
def test_torchtune_has_one_builder_a_model(base: str, builder: str) -> None:
    found = exported("torchtune", llama(base_model=base))
    assert f"_component_: torchtune.models.{builder}\n" in found.text
    assert ("apply_lora_to_output" in found.text) is ("gemma" not in base)


def test_torchtune_says_which_models_it_builds() -> None:
    with pytest.raises(ExportError, match=r"torchtune 0\.6\.1 has no builder for a/other\."):
        exported("torchtune", llama(base_model="a/other"))


def test_mlx_lm() -> None:
    assert body(exported("mlx-lm")) == (
        "model: meta-llama/Llama-3.1-8B\n"
        "fine_tune_type: lora\n"
        "num_layers: -1\n"
        "lora_parameters:\n"
        "  keys: [self_attn.q_proj, self_attn.v_proj]\n"
        "  rank: 8\n"
        "  scale: 2.0\n"
        "  dropout: 0.05\n"
    )


def test_mlx_lm_counts_layers_from_the_last() -> None:
    found = exported("mlx-lm", **LAST)
    assert "num_layers: 2\n" in found.text
    assert found.losses == ()
    found = exported("mlx-lm", layers_to_transform=[0])
    assert "keys: [model.layers.0.self_attn.q_proj, model.layers.0.self_attn.v_proj" in found.text
    assert found.losses == ()


def test_mlx_lm_names_experts_as_its_own_class_does() -> None:
    inventory = builders.mixture(base_model="Qwen/Qwen3-30B-A3B", task_type="CAUSAL_LM")
    found = exported(
        "mlx-lm",
        inventory,
        lora_dropout=0.0,
        target_parameters=["experts.gate_up_proj", "experts.down_proj"],
    )
    assert "mlp.switch_mlp.gate_proj" in found.text
    [loss] = found.losses
    assert loss.message == (
        "mlx-lm trains 2 pairs of factors for each moe.experts.gate_up where one was planned."
    )
    assert "keeps gate and up of the experts apart" in loss.hint
    assert len(loss.paths) == 2


def test_mlx_lm_says_which_models_it_lacks() -> None:
    with pytest.raises(ExportError, match="has no class for the model type 'vit'"):
        exported("mlx-lm", llama(model_type="vit"))


def test_peft_states_every_field() -> None:
    found = exported("peft", **RANKS, use_rslora=True)
    config = json.loads(found.text)
    assert config["peft_type"] == "LORA"
    assert config["base_model_name_or_path"] == "meta-llama/Llama-3.1-8B"
    assert config["rank_pattern"] == {"q_proj": 4}
    assert config["use_rslora"] is True
    assert found.losses == ()


@pytest.mark.parametrize("to", ["trl", "llamafactory", "ms-swift", "torchtune", "mlx-lm"])
def test_one_rank_for_all(to: str) -> None:
    found = exported(to, **RANKS)
    [loss] = found.losses
    assert loss.what == "r"
    assert loss.message == (
        f"3 modules would get another rank from {found.to.own_name}: "
        "model.layers.0.self_attn.q_proj 8 instead of 4, …."
    )
    assert loss.paths == tuple(f"model.layers.{i}.self_attn.q_proj" for i in range(3))
    assert "rank for all modules" in loss.hint


@pytest.mark.parametrize("to", ["trl", "axolotl", "llamafactory", "ms-swift"])
def test_alphas_that_are_no_whole_numbers(to: str) -> None:
    [loss] = exported(to, lora_alpha=2.5).losses
    assert loss.what == "lora_alpha"
    assert "0.25 instead of 0.3125" in loss.message


@pytest.mark.parametrize("to", ["torchtune", "mlx-lm"])
def test_rslora_is_another_alpha(to: str) -> None:
    found = exported(to, r=16, lora_alpha=16, use_rslora=True)
    assert found.losses == ()
    assert ("lora_alpha: 64" if to == "torchtune" else "scale: 4.0") in found.text


def test_a_rank_that_a_pattern_gives_to_all() -> None:
    pattern = {"rank_pattern": {".*_proj": 32}, "alpha_pattern": {".*_proj": 64}}
    found = exported("trl", **pattern)
    assert "--lora_r 32" in found.text
    assert found.losses == ()


@pytest.mark.parametrize("to", ["torchtune", "mlx-lm"])
def test_what_only_peft_trains(to: str) -> None:
    lost = whats(to, modules_to_save=["embed_tokens"], bias="all", trainable_token_indices=None)
    assert lost == ["modules_to_save", "bias"]


def test_long_lists_of_other_tools_become_short() -> None:
    full = [f"model.layers.{i}.self_attn.{n}_proj" for i in range(12) for n in "qv"]
    inventory = llama(layers=12)
    for to in ("axolotl", "trl", "peft"):
        text = exported(to, inventory, target_modules=full).text
        assert "model.layers" not in text


def test_another_head_than_a_language_model() -> None:
    assert whats("axolotl", task_type="SEQ_CLS") == ["task_type"]
    scored = llama(cls="LlamaForSequenceClassification", task_type="SEQ_CLS")
    [loss] = exported("axolotl", scored, task_type="SEQ_CLS").losses
    assert "reward_model: true" in loss.hint
    assert whats("llamafactory", task_type="SEQ_CLS") == ["task_type"]
    assert "--lora_task_type SEQ_CLS" in exported("trl", task_type="SEQ_CLS").text
    assert "--task_type seq_cls" in exported("ms-swift", task_type="SEQ_CLS").text


def test_nothing_is_left_to_a_default_of_pefts() -> None:
    assert wanted(target_modules=None).adapted
    assert "lora_target_modules: [q_proj, v_proj]" in exported("axolotl", target_modules=None).text


def test_settings_of_an_initialization() -> None:
    from lorascope.planning.config import EVA_DEFAULTS

    eva = {"init_lora_weights": "eva", "eva_config": EVA_DEFAULTS}
    assert whats("axolotl", **eva) == []
    assert whats("axolotl", **eva | {"eva_config": EVA_DEFAULTS | {"rho": 1.0}}) == ["eva_config"]
    assert whats("peft", **eva | {"eva_config": {"rho": 1.0}}) == []


def test_a_loss_of_tokens_shows_them() -> None:
    [loss] = exported("trl", trainable_token_indices={"embed_tokens": [1, 2]}).losses
    assert loss.message == (
        "The configuration asks for trained tokens (trainable_token_indices): "
        '{"embed_tokens": [1, 2]}. TRL would have: none.'
    )
    assert loss.hint


@pytest.mark.parametrize("to", ["torchtune", "mlx-lm"])
def test_a_configuration_without_targets(to: str) -> None:
    fields = {"target_modules": [], "target_parameters": ["self_attn.q_proj.weight"]}
    assert whats(to, **fields, lora_dropout=0.0) == []


CAUSAL_ONLY = ("trl", "mlx-lm", "torchtune", "unsloth", "litgpt", "verl", "nemo-automodel")


@pytest.mark.parametrize("to", [*CAUSAL_ONLY, "llamafactory"])
@pytest.mark.parametrize("task", ["SEQ_CLS", "TOKEN_CLS"])
def test_a_head_of_its_own_is_lost_where_language_models_are_trained(to: str, task: str) -> None:
    assert whats(to, task_type=task).count("task_type") == 1


def test_trl_names_its_command_for_one_score() -> None:
    [loss] = exported("trl", task_type="SEQ_CLS").losses
    assert loss.message == (
        "TRL trains a causal language model here, and SEQ_CLS is planned, with a head of its own."
    )
    assert "trl reward" in loss.hint
    assert whats("peft", task_type="SEQ_CLS") == whats("ms-swift", task_type="SEQ_CLS") == []


def test_why_llamafactory_adapts_no_expert_parameters() -> None:
    inventory = builders.mixture(base_model="Qwen/Qwen3-30B-A3B", task_type="CAUSAL_LM")
    fields = {"target_parameters": ["experts.down_proj"], "lora_dropout": 0.0}
    [loss] = exported("llamafactory", inventory, **fields).losses
    assert loss.hint.startswith("LLaMA-Factory has no target_parameters")


def test_entries_that_adapt_nothing_are_left_out() -> None:
    found = exported("axolotl", target_modules=["q_proj,", "v_proj", "nothing"])
    assert "lora_target_modules: [v_proj]\n" in found.text
    assert found.losses == ()
    assert found.notes == (
        "'q_proj,', 'nothing' of target_modules adapt nothing and are left out.",
    )


@pytest.mark.parametrize("to", ["trl", "litgpt", "nemo-automodel", "verl", "megatron-bridge"])
def test_one_rank_for_all_is_the_one_that_the_configuration_states(to: str) -> None:
    more = {"up_proj": 4, "gate_proj": 4, "down_proj": 4, "o_proj": 4}
    names = ["q_proj", "k_proj", "v_proj", *more]
    found = exported(to, target_modules=names, rank_pattern=more, r=12, lora_alpha=24)
    assert {"r"} <= {loss.what for loss in found.losses}
    assert "12" in found.text
    assert "24" in found.text


def test_saved_modules_that_are_not_there_are_left_out() -> None:
    found = exported("axolotl", modules_to_save=["lm_head", "nothing"])
    assert "lora_modules_to_save: [lm_head]\n" in found.text
    assert found.losses == ()
    assert found.notes == ("'nothing' of modules_to_save names nothing and is left out.",)
    assert "modules_to_save" not in exported("trl", modules_to_save=["nothing"]).text
