from __future__ import annotations

from dataclasses import replace

import pytest

from builders import linear, llama, mixture, multimodal
from lorascope.core.errors import NoLoraError, RecipeError, SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.core.spec import LoraSpec
from lorascope.formats import hand, read_recipes

START = "base_model: owner/name\nadapter: qlora\nload_in_4bit: true\nlora_r: 16\nlora_alpha: 32\n"
SEVEN = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")


def read(text: str) -> Recipe:
    return read_recipes(text, "train.yaml")[0]


def test_every_key_is_put_under_peft_s_name() -> None:
    text = START + (
        "revision_of_model: v2\n"
        "lora_dropout: 0.05\n"
        "lora_target_modules:\n  - q_proj\n  - v_proj  # value\n"
        "lora_target_parameters: [mlp.experts.gate_up_proj]\n"
        "lora_modules_to_save: [lm_head]\n"
        "lora_rank_pattern:\n  q_proj: 4\n"
        "lora_alpha_pattern: {q_proj: 8}\n"
        "lora_fan_in_fan_out:\n"
        "peft_layers_to_transform: [0, 1]\n"
        "peft_layers_pattern: [layers]\n"
        "peft_use_dora: true\n"
        "peft_use_rslora: yes\n"
        "peft_init_lora_weights: pissa\n"
        "peft_layer_replication: [[0, 2]]\n"
        "peft_trainable_token_indices: {embed_tokens: [1]}\n"
        "peft_ensure_weight_tying: true\n"
        "datasets: [{path: x}]\n"
    )
    recipe = read(text)
    assert (recipe.tool, recipe.base_model, recipe.revision) == (Tool.AXOLOTL, "owner/name", "v2")
    assert recipe.stated == {
        "r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        "target_modules": ("q_proj", "v_proj"),
        "target_parameters": ("mlp.experts.gate_up_proj",),
        "modules_to_save": ("lm_head",),
        "rank_pattern": {"q_proj": 4},
        "alpha_pattern": {"q_proj": 8},
        "layers_to_transform": (0, 1),
        "layers_pattern": ("layers",),
        "use_dora": True,
        "use_rslora": True,
        "init_lora_weights": "pissa",
        "layer_replication": ((0, 2),),
        "trainable_token_indices": {"embed_tokens": (1,)},
        "ensure_weight_tying": True,
    }
    assert recipe.options == {"adapter": "qlora", "load_in_4bit": True}
    assert recipe.key("target_modules") == "lora_target_modules"
    assert recipe.key("layers_to_transform") == "peft_layers_to_transform"
    assert not recipe.unknown
    spot = recipe.spots["target_modules", "v_proj"]
    assert (text[spot.start : spot.end], spot.line) == ("v_proj", 10)
    spot = recipe.spots["rank_pattern", "q_proj"]
    assert (text[spot.start : spot.end], spot.line) == ("q_proj", 14)
    LoraSpec.from_dict(hand(recipe, llama()))


def test_without_targets_peft_is_handed_an_empty_list() -> None:
    assert hand(read(START), llama()) == {
        "r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.0,
        "target_modules": (),
        "target_parameters": (),
        "modules_to_save": None,
        "bias": "none",
        "task_type": "CAUSAL_LM",
    }


def targets(more: str, inventory: Inventory) -> object:
    return hand(read(START + more), inventory)["target_modules"]


def test_linear_names_every_linear_but_the_head() -> None:
    assert targets("lora_target_linear: true\n", llama()) == SEVEN


def test_linear_reaches_every_tower() -> None:
    assert "0" in targets("lora_target_linear: true\n", multimodal())


def test_linear_leaves_expert_parameters_out() -> None:
    found = targets("lora_target_linear: true\n", mixture())
    assert found == ("down_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")


def test_linear_leaves_out_the_head_by_its_name_alone() -> None:
    model = llama()
    other = replace(model, modules=(*model.modules, linear("head.embed_out", (8, 8))))
    assert "embed_out" in targets("lora_target_linear: true\n", other)
    pythia = replace(other, model=replace(other.model, model_type="gpt_neox"))
    found = targets("lora_target_linear: true\n", pythia)
    assert "embed_out" not in found
    assert "lm_head" in found


def test_linear_and_a_list_are_taken_together() -> None:
    more = "lora_target_linear: true\nlora_target_modules: [lm_head, q_proj]\n"
    assert targets(more, llama()) == ("lm_head", "q_proj", *SEVEN[:4], *SEVEN[5:])


def test_linear_makes_an_entry_of_a_pattern() -> None:
    more = "lora_target_linear: true\nlora_target_modules: .*q_proj\n"
    assert targets(more, llama()) == (".*q_proj", *SEVEN)


def test_a_pattern_alone_stays_one() -> None:
    assert targets("lora_target_modules: .*q_proj\n", llama()) == ".*q_proj"


@pytest.mark.parametrize(
    ("more", "cls", "task"),
    [
        ("", "LlamaForCausalLM", "CAUSAL_LM"),
        ("", "LlamaForSequenceClassification", "SEQ_CLS"),
        ("reward_model: true\n", "LlamaForCausalLM", "SEQ_CLS"),
        ("process_reward_model: true\n", "LlamaForCausalLM", "TOKEN_CLS"),
    ],
)
def test_the_task_type_is_that_of_the_class(more: str, cls: str, task: str) -> None:
    assert hand(read(START + more), llama(cls=cls))["task_type"] == task


@pytest.mark.parametrize("missing", ["lora_r", "lora_alpha"])
def test_rank_and_alpha_have_no_default(missing: str) -> None:
    text = "".join(row for row in START.splitlines(keepends=True) if not row.startswith(missing))
    with pytest.raises(SpecificationError) as error:
        hand(read(text), llama())
    assert str(error.value) == (
        f"train.yaml: {missing} is missing; Axolotl has no default for it. "
        f"Add it, for example `{missing}: 16`."
    )
    hand(read(text + "lora_model_dir: ./adapter\n"), llama())


def test_keys_that_axolotl_does_not_have() -> None:
    text = START + (
        "lora_target_module: [q]\nlora_targets: [q]\ntarget_modules: [q]\nlora_rank: 8\n"
        "lora_modules_to_svae: [x]\nuse_dora: true\nlora_exclude_modules: [x]\n"
        "lora_model_dir: x\nlora_mlp_kernel: true\nmicro_batch_size: 1\n"
    )
    assert read(text).unknown == {
        "lora_target_module": ("lora_target_modules",),
        "lora_targets": ("lora_target_modules",),
        "target_modules": ("lora_target_modules",),
        "lora_rank": ("lora_r",),
        "lora_modules_to_svae": ("lora_modules_to_save",),
        "use_dora": ("peft_use_dora",),
        "lora_exclude_modules": (),
    }


def test_numbers_are_read_as_pydantic_reads_them() -> None:
    text = "base_model: m\nadapter: lora\nlora_r: '16'\nlora_alpha: 8.0\nlora_dropout: 1e-1\n"
    assert read(text).stated == {"r": 16, "lora_alpha": 8, "lora_dropout": 0.1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("lora_r: many", "lora_r is 'many'; expected a whole number"),
        ("lora_r: 8.5", "lora_r is 8.5; expected a whole number"),
        ("lora_alpha: true", "lora_alpha is True; expected a whole number"),
        ("lora_target_modules: 7", "lora_target_modules is 7; expected a list of names, or text"),
        ("lora_target_modules: [1]", r"lora_target_modules is \[1\]; expected a list of names"),
        ("lora_modules_to_save: x", "lora_modules_to_save is 'x'; expected a list of names"),
        ("lora_rank_pattern: [a]", r"lora_rank_pattern is \['a'\]; expected a mapping"),
        ("lora_target_linear: maybe", "lora_target_linear is 'maybe'; expected true or false"),
        ("peft_layers_to_transform: 3", "peft_layers_to_transform is 3; expected a list of whole"),
    ],
)
def test_a_wrong_type_names_the_key(row: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"^train.yaml, line 4: {message}"):
        read(f"base_model: m\nadapter: lora\nlora_model_dir: x\n{row}\n")


def test_without_an_adapter_it_is_no_lora() -> None:
    with pytest.raises(NoLoraError, match="states no adapter: Axolotl trains all weights. Add `ad"):
        read("base_model: m\nmicro_batch_size: 1\n")
    with pytest.raises(NoLoraError, match="line 2: adapter is 'llama-adapter'; expected 'lora'"):
        read("base_model: m\nadapter: llama-adapter\n")


def test_loftq_chooses_the_initialization() -> None:
    text = START + "peft:\n  loftq_config:\n    loftq_bits: 4\n"
    handed = hand(read(text), llama())
    assert handed["init_lora_weights"] == "loftq"
    assert handed["loftq_config"] == {"loftq_bits": 4, "loftq_iter": 1}
    assert hand(read(text + "peft_init_lora_weights: pissa\n"), llama())["init_lora_weights"] == (
        "pissa"
    )


def test_no_initialization_cannot_be_asked_for() -> None:
    text = START + "peft_init_lora_weights: false\n"
    assert hand(read(text), llama())["init_lora_weights"] is True
