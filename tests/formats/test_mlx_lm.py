"""mlx-lm's files, and what it adapts in Hugging Face's names."""

from __future__ import annotations

from functools import partial

import pytest

import builders
import recipes
from lorascope.core.errors import NoLoraError, RecipeError, SpecificationError
from lorascope.core.recipe import Recipe
from lorascope.formats.json_document import parse_json
from lorascope.formats.mlx_lm import DIALECT
from lorascope.formats.node import Syntax
from lorascope.formats.yaml_document import parse_yaml

NUMBERS = "  rank: 4\n  scale: 10.0\n  dropout: 0.0\n"
LLAMA = builders.llama(layers=3)
recipe_of = partial(recipes.of_yaml, DIALECT)


def with_keys(keys: str, layers: int = -1) -> Recipe:
    return recipe_of(f"model: m\nnum_layers: {layers}\nlora_parameters:\n  keys: {keys}\n{NUMBERS}")


def test_a_file_is_put_into_peft_s_words() -> None:
    text = (
        "model: mlx-community/m\nfine_tune_type: dora\nnum_layers: 8\nlora_parameters:\n"
        '  keys: ["self_attn.q_proj", "self_attn.v_proj"]\n  rank: 4\n  scale: 2.5\n'
        "  dropout: 0.1\n"
    )
    recipe = recipe_of(text)
    assert recipe.stated == {
        "use_dora": True,
        "target_modules": ("self_attn.q_proj", "self_attn.v_proj"),
        "r": 4,
        "lora_dropout": 0.1,
        "lora_alpha": 10.0,
    }
    assert recipe.base_model == "mlx-community/m"
    assert recipe.options == {"fine_tune_type": "dora", "num_layers": 8, "scale": 2.5}
    assert recipe.key("lora_alpha") == "lora_parameters.scale"
    assert (
        recipes.written(recipe, text, "target_modules", "self_attn.v_proj") == '"self_attn.v_proj"'
    )
    assert recipes.written(recipe, text, "lora_alpha") == "2.5"


def test_the_defaults_are_mlx_lm_s_own() -> None:
    handed = DIALECT.hand(recipe_of("model: m\nfine_tune_type: lora\nnum_layers: 1"), LLAMA)
    assert (handed["r"], handed["lora_alpha"], handed["lora_dropout"]) == (8, 160.0, 0.0)
    block = "model.layers.2"
    assert handed["target_modules"] == [
        *(f"{block}.self_attn.{name}_proj" for name in "qkvo"),
        *(f"{block}.mlp.{name}_proj" for name in ("gate", "up", "down")),
    ]
    with pytest.raises(SpecificationError, match="num_layers is 16; expected at most 3"):
        DIALECT.hand(recipe_of("model: m\nfine_tune_type: lora"), LLAMA)


@pytest.mark.parametrize(
    ("layers", "blocks"), [(1, [2]), (2, [1, 2]), (3, [0, 1, 2]), (-1, [0, 1, 2]), (0, [0, 1, 2])]
)
def test_the_last_layers_are_adapted(layers: int, blocks: list[int]) -> None:
    handed = DIALECT.hand(with_keys("[self_attn.q_proj]", layers), LLAMA)
    assert handed["target_modules"] == [f"model.layers.{n}.self_attn.q_proj" for n in blocks]


def test_keys_are_whole_paths_inside_a_block_or_the_model() -> None:
    keys = "[q_proj, attn.q_proj, lm_head, model.layers.0.mlp.up_proj, model.embed_tokens]"
    assert DIALECT.hand(with_keys(keys, 1), LLAMA)["target_modules"] == [
        "model.embed_tokens",
        "model.layers.0.mlp.up_proj",
        "lm_head",
    ]
    assert DIALECT.hand(with_keys("[q_proj]"), LLAMA)["target_modules"] == []
    assert DIALECT.hand(with_keys("[]"), LLAMA)["target_modules"] == []


def test_a_perception_tower_is_not_adapted() -> None:
    handed = DIALECT.hand(with_keys("null"), builders.multimodal())
    assert len(handed["target_modules"]) == 21
    assert not any("vision" in path for path in handed["target_modules"])


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ("null", ["gate_up_proj", "down_proj"]),
        ("[mlp.switch_mlp.gate_proj, mlp.switch_mlp.up_proj]", ["gate_up_proj"]),
        ("[mlp.switch_mlp.gate_proj]", []),
        ("[mlp.switch_mlp.down_proj, mlp.gate]", ["down_proj"]),
        ("[mlp.experts.down_proj]", ["down_proj"]),
        ("[mlp.down_proj]", []),
    ],
)
def test_routed_experts_are_parameters(keys: str, names: list[str]) -> None:
    handed = DIALECT.hand(with_keys(keys, 1), builders.mixture())
    expected = [f"model.layers.2.mlp.experts.{name}" for name in names]
    assert handed.get("target_parameters", []) == expected
    assert not any("experts" in path for path in handed["target_modules"])


def test_dropout_of_experts_is_not_handed_to_peft_which_refuses_it() -> None:
    text = "model: m\nnum_layers: 1\nlora_parameters: {rank: 4, scale: 1.0, dropout: 0.5}\n"
    assert DIALECT.hand(recipe_of(text), builders.mixture())["lora_dropout"] == 0.0
    assert DIALECT.hand(recipe_of(text), LLAMA)["lora_dropout"] == 0.5


def test_experts_have_no_dora() -> None:
    with pytest.raises(SpecificationError, match="no DoRA for them"):
        DIALECT.hand(recipe_of("model: m\nfine_tune_type: dora\nnum_layers: 1"), builders.mixture())


def test_the_saved_configuration_is_read_too() -> None:
    text = '{"model": "m", "lora_parameters": {"rank": 8, "scale": 20.0, "dropout": 0.0}}'
    node = parse_json(text, "adapter_config.json")
    assert DIALECT.recognizes(node, Syntax.JSON)
    assert DIALECT.read(node, "adapter_config.json").stated["lora_alpha"] == 160


def test_training_of_whole_layers_is_no_lora() -> None:
    with pytest.raises(NoLoraError, match=r"train\.yaml, line 2: fine_tune_type is 'full'"):
        recipe_of("model: m\nfine_tune_type: full\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lora_parameters: 8", "line 1: lora_parameters is 8; expected keys such as rank"),
        (
            f"lora_parameters:\n  keys: self_attn.q_proj\n{NUMBERS}",
            "line 2: lora_parameters.keys is 'self_attn.q_proj'; expected a list of names",
        ),
        ("lora_parameters:\nfine_tune_type: qlora", "fine_tune_type is 'qlora'; expected 'lora'"),
        ("lora_parameters:\nnum_layers: all", "num_layers is 'all'; expected a whole number"),
    ],
)
def test_what_mlx_lm_refuses_is_an_error_that_says_where(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        recipe_of(text)
    assert message in raised.value.what


def test_unknown_keys_of_the_section_are_named() -> None:
    recipe = recipe_of(f"lora_parameters:\n{NUMBERS}  alpha: 16\n  zzz: 1\nlora_layer: 4\n")
    assert recipe.unknown["alpha"] == ("scale",)
    assert recipe.unknown["zzz"] == ()
    assert recipe.spot("", "alpha") is not None


def test_files_of_other_tools_are_not_taken() -> None:
    for text in ("model: m\ntarget_modules: [q]", "base_model: m\nadapter: lora"):
        assert not DIALECT.recognizes(parse_yaml(text, "x"), Syntax.YAML)


def test_what_lora_parameters_lacks_is_told_on_a_model() -> None:
    recipe = recipe_of("model: m\nnum_layers: 1\nlora_parameters:\n  rank: 8\n  alpha: 16")
    assert recipe.stated == {"r": 8}
    assert recipe.unknown["alpha"] == ("scale",)
    with pytest.raises(SpecificationError, match="has no scale and no dropout; mlx-lm expects"):
        DIALECT.hand(recipe, LLAMA)


def test_the_key_for_targets_is_known_where_none_is_given() -> None:
    for text in ("lora_parameters: {rank: 8, scale: 20.0, dropout: 0.0}", "lora_parameters:"):
        recipe = DIALECT.read(parse_yaml(text, "train.yaml"), "train.yaml")
        assert recipe.key("target_modules") == "lora_parameters.keys"
