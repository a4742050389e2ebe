"""ms-swift's commands and files, and what its own words stand for on a model."""

from __future__ import annotations

import re
from functools import partial

import pytest

import builders
import recipes
from lorascope.core.errors import NoLoraError, RecipeError
from lorascope.core.inventory import Inventory
from lorascope.core.roles import Role, Tower
from lorascope.formats.json_document import parse_json
from lorascope.formats.ms_swift import DIALECT
from lorascope.formats.node import Syntax
from lorascope.formats.shell_document import parse_shell
from lorascope.formats.yaml_document import parse_yaml

LLAMA = builders.llama()
of_command = partial(recipes.of_command, DIALECT)
of_yaml = partial(recipes.of_yaml, DIALECT)


def qwen_vl(**info: str) -> Inventory:
    """The small Llama under a vision tower with a merger, as Qwen2.5-VL is built."""
    text = [
        builders.linear(f"model.language_model.layers.{n}.self_attn.q_proj", (8, 8), layer=n)
        for n in range(2)
    ]
    vision = [
        builders.linear(f"model.visual.blocks.{n}.mlp.{m}", (6, 6), layer=n, tower=Tower.VISION)
        for n in range(3)
        for m in (0, 2)
    ]
    return builders.inventory_of(
        [
            builders.container(""),
            builders.container("model"),
            builders.container("model.visual"),
            builders.container("model.visual.blocks"),
            *(builders.container(f"model.visual.blocks.{n}") for n in range(3)),
            *(builders.container(f"model.visual.blocks.{n}.mlp") for n in range(3)),
            *vision,
            builders.container("model.visual.merger"),
            builders.linear("model.visual.merger.proj", (6, 8), tower=Tower.PROJECTOR),
            builders.container("model.language_model"),
            *text,
            builders.linear("lm_head", (8, 32), Role.HEAD_LM),
        ],
        **({"cls": "Qwen2_5_VLForConditionalGeneration", "model_type": "qwen2_5_vl"} | info),
    )


def test_a_command_is_put_into_peft_s_words() -> None:
    text = (
        "swift sft --model Qwen/Qwen3-8B --tuner_type lora --target_modules q_proj 'v_proj'"
        " --lora_rank 16 --lora_alpha 32 --lora_bias all --task_type seq_cls --quant_method bnb"
        " --quant_bits 4 --freeze_vit false --torch_dtype bfloat16 --learning_rate 1e-4"
    )
    recipe = of_command(text)
    assert recipe.stated == {
        "target_modules": ("q_proj", "v_proj"),
        "r": 16,
        "lora_alpha": 32,
        "bias": "all",
        "task_type": "SEQ_CLS",
    }
    assert recipe.base_model == "Qwen/Qwen3-8B"
    assert recipe.options == {
        "tuner_type": "lora",
        "quant_method": "bnb",
        "quant_bits": "4",
        "freeze_vit": False,
    }
    assert recipe.unknown == {}
    assert recipes.written(recipe, text, "target_modules", "v_proj") == "'v_proj'"


def test_files_are_read_by_the_same_keys() -> None:
    recipe = of_yaml("model: m\ntarget_modules: all-linear\nlora_rank: 4\n")
    assert recipe.stated == {"target_modules": ("all-linear",), "r": 4}
    assert recipe.key("r") == "lora_rank"
    node = parse_json('{"model": "m", "tuner_type": "lora", "target_modules": ["q_proj"]}', "a")
    assert DIALECT.recognizes(node, Syntax.JSON)
    assert DIALECT.read(node, "a").stated == {"target_modules": ("q_proj",)}


def test_a_regular_expression_wins_over_the_list() -> None:
    text = "swift sft --model m --target_regex '.*q_proj' --target_modules k_proj"
    recipe = of_command(text)
    assert recipe.stated == {"target_modules": ".*q_proj"}
    assert recipe.options == {"target_modules": "k_proj"}
    assert recipe.key("target_modules") == "--target_regex"
    assert recipe.spot("target_modules", "k_proj") == recipe.spot("target_modules")
    assert DIALECT.hand(recipe, LLAMA)["target_modules"] == ".*q_proj"


def test_all_linear_is_replaced_by_names_without_the_head() -> None:
    for text in ("swift sft --model m", "swift sft --model m --target_modules all-linear"):
        handed = DIALECT.hand(of_command(text), LLAMA)
        assert handed["target_modules"] == [
            *("q_proj", "k_proj", "v_proj", "o_proj"),
            *("gate_proj", "up_proj", "down_proj"),
        ]
        assert (handed["r"], handed["lora_alpha"], handed["lora_dropout"]) == (8, 32.0, 0.05)


def test_names_beside_all_linear_stay_and_embeddings_are_added() -> None:
    text = "swift sft --model m --target_modules lm_head all-linear all-embedding"
    targets = DIALECT.hand(of_command(text), LLAMA)["target_modules"]
    assert targets[0] == "lm_head"
    assert targets[-1] == "embed_tokens"
    assert len(targets) == 9


def test_modules_to_save_may_be_all_norms_and_embeddings() -> None:
    text = "swift sft --model m --modules_to_save all-norm all-embedding lm_head"
    handed = DIALECT.hand(of_command(text), LLAMA)
    assert handed["modules_to_save"] == ["lm_head", "embed_tokens", "input_layernorm", "norm"]


def test_a_router_that_is_no_linear_class_is_left_out() -> None:
    targets = DIALECT.hand(of_command("swift sft --model m"), builders.mixture())["target_modules"]
    assert "gate" not in targets
    assert "gate_up_proj" not in targets


def test_names_are_made_longer_where_another_module_ends_alike() -> None:
    inventory = builders.inventory_of(
        [
            builders.container(""),
            builders.container("a.layers.0.proj", cls="Conv1d"),
            builders.linear("a.layers.0.out.proj", (8, 8)),
            builders.linear("a.layers.1.out.proj", (8, 8)),
        ]
    )
    assert DIALECT.hand(of_command("swift sft --model m"), inventory)["target_modules"] == [
        "out.proj"
    ]


def test_what_peft_refuses_in_mamba_is_taken_out() -> None:
    inventory = builders.inventory_of(
        [builders.linear("m.in_proj", (8, 8)), builders.linear("m.out_proj", (8, 8))],
        model_type="mamba2",
    )
    assert DIALECT.hand(of_command("swift sft --model m"), inventory)["target_modules"] == [
        "in_proj"
    ]


@pytest.mark.parametrize("info", [{}, {"cls": "NewForConditionalGeneration"}])
@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ("", {"language_model"}),
        ("--freeze_vit false", {"language_model", "blocks"}),
        ("--freeze_aligner false", {"language_model", "merger"}),
        ("--freeze_llm true --freeze_vit false", {"blocks"}),
        ("--freeze_llm true --freeze_aligner false", {"merger"}),
        ("--freeze_vit false --freeze_aligner false", {"language_model", "blocks", "merger"}),
        ("--freeze_llm true", set()),
    ],
)
def test_all_linear_of_a_multimodal_model_follows_what_is_frozen(
    info: dict[str, str], flags: str, parts: set[str]
) -> None:
    inventory = qwen_vl(**info)
    targets = DIALECT.hand(of_command(f"swift sft --model m {flags}"), inventory)["target_modules"]
    assert isinstance(targets, str)
    hit = {m.path for m in inventory.adaptable if re.fullmatch(targets, m.path)}
    expected = {
        m.path
        for m in inventory.adaptable
        if m.path != "lm_head" and any(f".{part}." in m.path for part in parts)
    }
    assert hit == expected


def test_the_expression_is_the_one_that_ms_swift_logs() -> None:
    handed = DIALECT.hand(of_command("swift sft --model m --freeze_vit false"), qwen_vl())
    assert handed["target_modules"] == (
        r"^(model\.language_model(?=\.).*\.(q_proj)"
        r"|(?!(model.visual.merger))model\.visual(?=\.).*\.(mlp.0|mlp.2|proj))$"
    )


def test_parts_are_found_where_transformers_has_moved_them() -> None:
    """Qwen2.5-Omni's text model was `thinker.model`, and that holds the towers as well since."""
    audio = builders.linear("thinker.model.audio_tower.proj", (6, 8), tower=Tower.AUDIO)
    inventory = builders.inventory_of(
        [
            *map(builders.container, ("", "thinker", "thinker.model")),
            *map(builders.container, ("thinker.model.audio_tower", "thinker.model.language_model")),
            audio,
            builders.linear("thinker.model.language_model.layers.0.self_attn.q_proj", (8, 8)),
        ],
        cls="Qwen2_5OmniForConditionalGeneration",
        model_type="qwen2_5_omni",
    )
    targets = DIALECT.hand(of_command("swift sft --model m"), inventory)["target_modules"]
    assert targets == r"^(thinker\.model\.language_model(?=\.).*\.(q_proj))$"


def test_own_names_on_a_multimodal_model_are_not_changed() -> None:
    recipe = of_command("swift sft --model m --target_modules q_proj")
    assert DIALECT.hand(recipe, qwen_vl())["target_modules"] == ["q_proj"]


def test_the_tuner_for_the_language_model_alone_heeds_no_flags() -> None:
    recipe = of_command("swift sft --model m --tuner_type lora_llm --freeze_vit false")
    assert "visual" not in DIALECT.hand(recipe, qwen_vl())["target_modules"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--tuner_type full", "tuner_type is 'full'; expected 'lora'"),
        ("--train_type full", "tuner_type is 'full'; expected 'lora'"),
        ("--tuner_type adalora", "tuner_type is 'adalora'"),
    ],
)
def test_other_tuners_are_no_lora(text: str, message: str) -> None:
    (node,) = parse_shell(f"swift sft --model m {text}", "x.sh")
    with pytest.raises(NoLoraError, match=message):
        DIALECT.read(node, "x.sh")


def test_a_command_that_only_names_a_file_says_to_check_that() -> None:
    (node,) = parse_shell("swift sft conf.yaml", "x.sh")
    with pytest.raises(NoLoraError, match=r"Check conf\.yaml"):
        DIALECT.read(node, "x.sh")


def test_values_of_a_wrong_type_are_errors_that_say_where() -> None:
    with pytest.raises(RecipeError) as raised:
        of_yaml("model: m\nlora_rank: [8]\n")
    assert raised.value.what == "train.yaml, line 2: lora_rank is [8]; expected a whole number."


def test_misspelt_keys_are_named_and_others_left_alone() -> None:
    recipe = of_command(
        "swift sft --model m --lora_target_modules q --lora_ranks 8 --lora_dtype float32"
        " --freeze_vision_tower true --trainable_parameters x --local_rank 0"
    )
    assert recipe.unknown == {
        "lora_target_modules": ("target_modules",),
        "lora_ranks": ("lora_rank",),
        "freeze_vision_tower": ("freeze_vit",),
    }


@pytest.mark.parametrize(
    "text",
    [
        "model:\n  _component_: torchtune.models.x",
        "model: m\nlora_parameters:\n  rank: 8",
        "base_model: m\ntarget_modules: [q_proj]",
        "model_name_or_path: m\nmodel: x\nlora_rank: 8",
        "model: m\ndata: x",
    ],
)
def test_files_of_other_tools_are_not_taken(text: str) -> None:
    assert not DIALECT.recognizes(parse_yaml(text, "x"), Syntax.YAML)


@pytest.mark.parametrize(
    ("said", "init"), [("olora", "olora"), ("False", False), ("true", True), ("lora-ga", "lora_ga")]
)
def test_how_the_weights_start(said: str, init: object) -> None:
    recipe = of_command(f"swift sft --model m --lora_rank 8 --init_weights {said}")
    assert DIALECT.hand(recipe, LLAMA)["init_lora_weights"] == init
    assert recipe.key("init_lora_weights") == "--init_weights"
