"""torchtune's recipes, and its modules in Hugging Face's names."""

from __future__ import annotations

import pytest

import builders
from lorascope.core.errors import NoLoraError, RecipeError, SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe
from lorascope.core.roles import Role, Tower
from lorascope.formats.node import Syntax
from lorascope.formats.torchtune import DIALECT
from lorascope.formats.torchtune_models import HUB_IDS, TIED
from lorascope.formats.yaml_document import parse_yaml
from recipes import of_yaml


def recipe_of(builder: str = "llama3_1.lora_llama3_1_8b", **keys: str) -> Recipe:
    lines = {"lora_attn_modules": "['q_proj', 'v_proj']"} | keys
    text = f"model:\n  _component_: torchtune.models.{builder}\n" + "".join(
        f"  {key}: {value}\n" for key, value in lines.items()
    )
    return of_yaml(DIALECT, text)


def targets(recipe: Recipe, inventory: Inventory) -> list[str]:
    return list(DIALECT.hand(recipe, inventory)["target_modules"])


def test_a_recipe_is_put_into_peft_s_words() -> None:
    recipe = recipe_of(lora_rank="16", lora_alpha="32", lora_dropout="0.1", use_dora="True")
    assert recipe.stated == {
        "target_modules": ("q_proj", "v_proj"),
        "r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.1,
        "use_dora": True,
    }
    assert recipe.base_model == "meta-llama/Llama-3.1-8B"
    assert recipe.key("target_modules") == "model.lora_attn_modules"
    spot = recipe.spot("target_modules", "v_proj")
    assert spot is not None
    assert (spot.line, spot.column) == (3, 33)
    assert recipe.unknown == {}


def test_modules_are_found_by_what_they_do() -> None:
    llama = builders.llama(layers=1, output_embedding="lm_head")
    block = "model.layers.0"
    assert targets(recipe_of(), llama) == [
        f"{block}.self_attn.q_proj",
        f"{block}.self_attn.v_proj",
    ]
    everything = recipe_of(
        lora_attn_modules="[q_proj, k_proj, v_proj, output_proj]",
        apply_lora_to_mlp="True",
        apply_lora_to_output="True",
    )
    assert targets(everything, llama) == [
        *(f"{block}.self_attn.{name}_proj" for name in "qkvo"),
        *(f"{block}.mlp.{name}_proj" for name in ("gate", "up", "down")),
        "lm_head",
    ]


def test_the_defaults_are_torchtune_s_own() -> None:
    handed = DIALECT.hand(recipe_of(), builders.llama(task_type="CAUSAL_LM"))
    assert (handed["r"], handed["lora_alpha"], handed["lora_dropout"]) == (8, 16, 0.0)
    assert handed["task_type"] == "CAUSAL_LM"


def test_a_fused_projection_stands_for_all_of_its_parts() -> None:
    phi = builders.inventory_of(
        [
            builders.linear("l.0.qkv_proj", (8, 24), Role.ATTENTION_QKV, layer=0),
            builders.linear("l.0.o_proj", (8, 8), Role.ATTENTION_O, layer=0),
            builders.linear("l.0.gate_up_proj", (8, 32), Role.FFN_GATE_UP, layer=0),
        ]
    )
    recipe = recipe_of("phi3.lora_phi3_mini", apply_lora_to_mlp="true")
    assert targets(recipe, phi) == ["l.0.qkv_proj", "l.0.gate_up_proj"]


def vision() -> Inventory:
    return builders.inventory_of(
        [
            builders.linear("v.transformer.layers.0.q", (8, 8), Role.ATTENTION_Q, layer=0,
                            tower=Tower.VISION),
            builders.linear("v.global_transformer.layers.0.q", (8, 8), Role.ATTENTION_Q, layer=0,
                            tower=Tower.VISION),
            builders.linear("projector", (8, 8), Role.PROJECTOR, tower=Tower.PROJECTOR),
            builders.linear("t.0.q", (8, 8), Role.ATTENTION_Q, layer=0),
            builders.linear("t.0.up", (8, 8), Role.FFN_UP, layer=0),
            builders.linear("t.1.q", (8, 8), Role.ATTENTION_Q, layer=1, cross_attention=True),
            builders.linear("t.1.up", (8, 8), Role.FFN_UP, layer=1),
            builders.linear("lm_head", (8, 32), Role.HEAD_LM),
        ],
        output_embedding="lm_head",
    )  # fmt: skip


ENCODER = ["v.transformer.layers.0.q"]
FUSION = ["v.global_transformer.layers.0.q", "t.1.q", "t.1.up"]
DECODER = ["t.0.q", "t.0.up"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, {*ENCODER, *FUSION}),
        ({"decoder_trainable": "lora"}, {*ENCODER, *FUSION, *DECODER}),
        ({"encoder_trainable": "frozen", "fusion_trainable": "full"}, set()),
        ({"apply_lora_to_output": "true"}, {*ENCODER, *FUSION, "projector"}),
        (
            {"apply_lora_to_output": "true", "decoder_trainable": "lora"},
            {*ENCODER, *FUSION, *DECODER, "projector", "lm_head"},
        ),
    ],
)
def test_parts_of_a_vision_model_are_chosen_apart(keys: dict[str, str], expected: set[str]) -> None:
    builder = "llama3_2_vision.lora_llama3_2_vision_11b"
    recipe = recipe_of(builder, apply_lora_to_mlp="true", **keys)
    assert set(targets(recipe, vision())) == expected


def test_a_name_that_torchtune_does_not_have_is_unknown_and_names_nothing() -> None:
    recipe = recipe_of(lora_attn_modules="[q_proj, o_proj, vproj, up_proj]")
    assert recipe.unknown == {
        "o_proj": ("output_proj",),
        "vproj": ("v_proj",),
        "up_proj": ("apply_lora_to_mlp",),
    }
    assert recipe.spot("", "o_proj") == recipe.spots["target_modules", "o_proj"]
    assert targets(recipe, builders.llama(layers=1)) == ["model.layers.0.self_attn.q_proj"]


def test_a_key_that_the_builder_does_not_take_is_unknown() -> None:
    assert recipe_of(lora_alfa="8", zzz="1").unknown == {"lora_alfa": ("lora_alpha",), "zzz": ()}
    assert (
        "apply_lora_to_output" in recipe_of("gemma.lora_gemma_2b", apply_lora_to_output="1").unknown
    )
    assert recipe_of("llama3_2.lora_llama3_2_1b", tie_word_embeddings="false").unknown == {}
    assert "use_dora" in recipe_of("llama3_1.lora_llama3_1_405b", use_dora="true").unknown


def test_a_builder_for_any_size_takes_more_keys() -> None:
    recipe = recipe_of("llama3_1.lora_llama3_1", vocab_size="128256", lora_rnk="4")
    assert recipe.base_model is None
    assert recipe.unknown == {"lora_rnk": ("lora_rank",)}


def test_a_builder_that_quantizes_is_recorded() -> None:
    recipe = recipe_of("llama2.qlora_llama2_7b")
    assert recipe.options["quantize_base"] is True
    assert recipe.base_model == "meta-llama/Llama-2-7b-hf"


def test_a_builder_without_lora_is_no_lora() -> None:
    node = parse_yaml("model:\n  _component_: torchtune.models.llama3.llama3_8b\n", "full.yaml")
    assert DIALECT.recognizes(node, Syntax.YAML)
    with pytest.raises(NoLoraError) as raised:
        DIALECT.read(node, "full.yaml")
    assert "full.yaml, line 2: model._component_ is 'torchtune.models.llama3.llama3_8b'" in str(
        raised.value
    )
    assert "torchtune.models.llama3.lora_llama3_8b is the one with LoRA" in str(raised.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"lora_attn_modules": "[]"}, "model.lora_attn_modules is empty"),
        ({"lora_attn_modules": "null"}, "model.lora_attn_modules is missing"),
        (
            {"lora_attn_modules": "q_proj"},
            "line 3: model.lora_attn_modules is 'q_proj'; expected a list of names",
        ),
        ({"lora_rank": "eight"}, "line 4: model.lora_rank is 'eight'; expected a whole number"),
    ],
)
def test_what_torchtune_refuses_is_an_error_that_says_where(
    keys: dict[str, str], message: str
) -> None:
    with pytest.raises(RecipeError) as raised:
        recipe_of(**keys)
    assert message in raised.value.what


def test_a_file_without_a_builder_of_torchtune_s_is_not_taken() -> None:
    node = parse_yaml("model: m\n", "x.yaml")
    assert not DIALECT.recognizes(node, Syntax.YAML)
    with pytest.raises(RecipeError, match="names no builder of torchtune's"):
        DIALECT.read(node, "x.yaml")


def test_every_model_of_the_table_has_an_owner_and_a_name() -> None:
    assert all(len(hub_id.split("/")) == 2 for hub_id in HUB_IDS.values())
    assert HUB_IDS.keys() >= TIED


@pytest.mark.parametrize(
    "builder",
    ["llama3_2.lora_llama3_2_1b", "llama3_2.qlora_llama3_2_3b", "qwen2_5.lora_qwen2_5_0_5b"],
)
def test_lora_on_a_tied_head_is_refused(builder: str) -> None:
    llama = builders.llama(layers=1, output_embedding="lm_head")
    with pytest.raises(SpecificationError, match="apply_lora_to_output is true"):
        DIALECT.hand(recipe_of(builder, apply_lora_to_output="True"), llama)
    assert targets(recipe_of(builder, apply_lora_to_output="False"), llama)
