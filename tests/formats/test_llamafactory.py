from __future__ import annotations

import pytest

from builders import container, inventory_of, linear, llama
from lorascope.core.errors import NoLoraError, RecipeError, SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.core.spec import LoraSpec
from lorascope.formats import hand, read_recipes

START = "model_name_or_path: owner/name\nfinetuning_type: lora\n"
SEVEN = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")


def read(more: str = "") -> Recipe:
    return read_recipes(START + more, "train.yaml")[0]


def composite() -> Inventory:
    """A Llava in small: towers, projector, and a language model below `model`."""
    names = (
        "model.vision_tower.layers.0.q_proj",
        "model.vision_tower.layers.0.fc1",
        "model.multi_modal_projector.linear_1",
        "model.language_model.layers.0.q_proj",
        "model.language_model.layers.0.gate_proj",
        "lm_head",
    )
    modules = [container(""), container("model"), *(linear(name, (4, 4)) for name in names)]
    return inventory_of(modules, model_type="llava")


def test_every_key_is_put_under_peft_s_name() -> None:
    recipe = read(
        "model_revision: v2\nlora_rank: 16\nlora_alpha: 32\nlora_dropout: 1e-1\n"
        "lora_target: q_proj, v_proj # two\nadditional_target: 'embed_tokens,lm_head'\n"
        "use_rslora: true\nuse_dora: true\nquantization_bit: 4\ntemplate: x\n"
    )
    assert (recipe.tool, recipe.base_model) == (Tool.LLAMAFACTORY, "owner/name")
    assert recipe.revision == "v2"
    assert recipe.stated == {
        "r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.1,
        "target_modules": ("q_proj", "v_proj"),
        "modules_to_save": ("embed_tokens", "lm_head"),
        "use_rslora": True,
        "use_dora": True,
    }
    assert recipe.options == {"finetuning_type": "lora", "quantization_bit": 4}
    assert (recipe.key("r"), recipe.key("modules_to_save")) == ("lora_rank", "additional_target")
    assert hand(recipe, llama()) == {**recipe.stated, "task_type": "CAUSAL_LM"}
    LoraSpec.from_dict(hand(recipe, llama()))


@pytest.mark.parametrize("written", ["a.q,v", " a.q ,  v", '"a.q, v"', "'a.q,v'", "[a.q, 'v']"])
def test_each_name_knows_where_it_stands(written: str) -> None:
    text = f"{START}lora_target: {written}\n"
    recipe = read_recipes(text, "f.yaml")[0]
    assert recipe.stated["target_modules"] == ("a.q", "v")
    for name in ("a.q", "v"):
        spot = recipe.spots["target_modules", name]
        assert text[spot.start : spot.end].strip("'") == name
        assert (spot.line, text.splitlines()[2][spot.column - 1]) == (3, text[spot.start])


def test_names_on_several_lines_have_the_place_of_all() -> None:
    recipe = read("lora_target: q_proj,\n  v_proj\n")
    assert recipe.stated["target_modules"] == ("q_proj", "v_proj")
    assert ("target_modules", "v_proj") not in recipe.spots
    assert recipe.spot("target_modules", "v_proj") == recipe.spots["target_modules", None]


def test_what_is_not_stated_has_the_tool_s_defaults() -> None:
    assert hand(read(), llama()) == {
        "r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "target_modules": SEVEN,
        "modules_to_save": None,
        "use_rslora": False,
        "use_dora": False,
        "task_type": "CAUSAL_LM",
    }
    assert hand(read("lora_rank: 4\n"), llama())["lora_alpha"] == 8


@pytest.mark.parametrize("written", ["all", "[all]"])
def test_all_is_an_option_and_no_name(written: str) -> None:
    recipe = read(f"lora_target: {written}\n")
    assert "target_modules" not in recipe.stated
    assert recipe.options["lora_target"] == "all"
    assert recipe.spots["target_modules", None].line == 3
    assert hand(recipe, llama())["target_modules"] == SEVEN


def test_all_beside_a_name_is_a_name() -> None:
    recipe = read("lora_target: all,q_proj\n")
    assert hand(recipe, llama())["target_modules"] == ("all", "q_proj")


def test_the_heads_that_all_leaves_out() -> None:
    modules = [container(""), linear("output_layer", (4, 4)), linear("x.output", (4, 4))]
    for model_type, expected in (
        ("chatglm", ("output",)),
        ("internlm2", ()),  # `output` is in `output_layer` too
        ("llama", ("output", "output_layer")),
    ):
        model = inventory_of(modules, model_type=model_type)
        assert hand(read(), model)["target_modules"] == expected


TEXT_ONLY = ("model.language_model.layers.0.q_proj", "model.language_model.layers.0.gate_proj")
VISION = ("model.vision_tower.layers.0.q_proj", "model.vision_tower.layers.0.fc1")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", TEXT_ONLY),
        ("freeze_vision_tower: false\n", (*VISION, *TEXT_ONLY)),
        ("freeze_multi_modal_projector: false\n", TEXT_ONLY),
        ("freeze_language_model: true\n", ()),
        ("lora_target: q_proj\n", TEXT_ONLY[:1]),
        ("lora_target: proj\n", TEXT_ONLY),
        ("lora_target: linear_1\nfreeze_multi_modal_projector: false\n", ("model.multi_modal",)),
        ("lora_target: q_proj\nfreeze_vision_tower: false\n", (VISION[0], TEXT_ONLY[0])),
        (
            "lora_target: q_proj\nfreeze_vision_tower: false\nfreeze_language_model: true\n",
            VISION[:1],
        ),
    ],
)
def test_towers_of_a_multimodal_model(more: str, expected: tuple[str, ...]) -> None:
    found = hand(read(more), composite())["target_modules"]
    assert len(found) == len(expected)
    assert all(name.startswith(start) for name, start in zip(found, expected, strict=True))


def test_expanded_blocks_alone() -> None:
    recipe = read("use_llama_pro: true\nfreeze_trainable_layers: 1\nlora_target: q_proj\n")
    assert hand(recipe, llama(3))["target_modules"] == ("model.layers.2.self_attn.q_proj",)
    with pytest.raises(SpecificationError, match="= 2 blocks; expected a number that divides"):
        hand(read("use_llama_pro: true\n"), llama(3))


def test_a_resized_vocabulary_saves_the_embeddings() -> None:
    model = llama(input_embedding="model.embed_tokens", output_embedding="lm_head")
    resized = "resize_vocab: true\n"
    assert hand(read(resized), model)["modules_to_save"] == ("embed_tokens", "lm_head")
    stated = hand(read(resized + "additional_target: norm\n"), model)["modules_to_save"]
    assert stated == ("norm",)


@pytest.mark.parametrize(("steps", "name"), [("-1", "pissa"), ("4", "pissa_niter_4")])
def test_pissa(steps: str, name: str) -> None:
    handed = hand(read(f"pissa_init: true\npissa_iter: {steps}\n"), llama())
    assert handed["init_lora_weights"] == name


def test_keys_that_llamafactory_does_not_have() -> None:
    recipe = read(
        "lora_r: 8\nlora_targets: q\nlora_target_modules: [q]\nlora_modules_to_save: x\n"
        "freeze_vison_tower: true\nrank_pattern: {}\ngalore_rank: 1\nlora_dropuot: 1\n"
    )
    assert recipe.unknown == {
        "lora_r": ("lora_rank",),
        "lora_targets": ("lora_target",),
        "lora_target_modules": ("lora_target",),
        "lora_modules_to_save": ("additional_target",),
        "rank_pattern": (),
        "lora_dropuot": ("lora_dropout",),
        "freeze_vison_tower": ("freeze_vision_tower",),
    }
    assert recipe.spots["", "freeze_vison_tower"].line == 7


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("lora_rank: '8'", "lora_rank is '8'; expected a whole number without quotes"),
        ("lora_rank: 8.0", "lora_rank is 8.0; expected a whole number"),
        ("lora_target: 8", "lora_target is 8; expected a list of names, or names with commas"),
        ("lora_dropout: some", "lora_dropout is 'some'; expected a number"),
    ],
)
def test_a_wrong_type_names_the_key(row: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"^train.yaml, line 3: {message}"):
        read(f"{row}\n")


@pytest.mark.parametrize("method", ["full", "freeze", "oft"])
def test_other_methods_are_no_lora(method: str) -> None:
    with pytest.raises(NoLoraError, match=f"line 2: finetuning_type is '{method}'; expected 'lora"):
        read_recipes(f"model_name_or_path: m\nfinetuning_type: {method}\n", "f.yaml")


def test_a_file_for_inference_trains_nothing() -> None:
    text = "model_name_or_path: m\nadapter_name_or_path: a\ntemplate: llama3\n"
    with pytest.raises(NoLoraError, match="trains nothing: it has no stage, dataset or LoRA"):
        read_recipes(text, "f.yaml")
    assert read_recipes(text + "stage: sft\n", "f.yaml")[0].options["adapter_name_or_path"] == "a"


def test_a_command_says_the_same_as_a_file() -> None:
    command = (
        'llamafactory-cli train --model_name_or_path m --stage sft --lora_target "q_proj, v_proj"'
        " --lora_rank 16 --lora_dropout 1e-1 --additional_target lm_head --use_dora"
        " --freeze_vision_tower false --quantization_bit 4"
    )
    (recipe,) = read_recipes(command, "run.sh")
    assert (recipe.tool, recipe.base_model) == (Tool.LLAMAFACTORY, "m")
    assert recipe.stated == {
        "r": 16,
        "lora_dropout": 0.1,
        "target_modules": ("q_proj", "v_proj"),
        "modules_to_save": ("lm_head",),
        "use_dora": True,
    }
    assert recipe.options == {"stage": "sft", "freeze_vision_tower": False, "quantization_bit": 4}
    assert recipe.key("target_modules") == "--lora_target"
    spot = recipe.spots["target_modules", "v_proj"]
    assert command[spot.start : spot.end] == "v_proj"


def test_all_in_a_command() -> None:
    (recipe,) = read_recipes("lmf train --model_name_or_path m --lora_target all", "run.sh")
    assert recipe.options["lora_target"] == "all"
    assert "q_proj" in hand(recipe, llama())["target_modules"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("train.yaml lora_rank=8", "its settings stand in train.yaml. Check train.yaml."),
        ("--finetuning_type full --stage sft", "finetuning_type is 'full'; expected 'lora'"),
        ("--template llama3", "trains nothing"),
    ],
)
def test_commands_without_lora(options: str, message: str) -> None:
    with pytest.raises(NoLoraError, match=message):
        read_recipes(f"llamafactory-cli train {options}", "run.sh")


def test_a_command_takes_no_names_with_blanks_between() -> None:
    text = "llamafactory-cli train --stage sft --lora_target q_proj v_proj"
    with pytest.raises(RecipeError, match="--lora_target is .*; expected .*names with commas"):
        read_recipes(text, "run.sh")
