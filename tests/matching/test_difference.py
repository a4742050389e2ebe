from dataclasses import replace
from typing import Any

import pytest

import builders
from lorascope.core.errors import IncomparableError
from lorascope.core.inventory import Inventory
from lorascope.core.roles import Role
from lorascope.core.spec import LoraSpec
from lorascope.matching import match
from lorascope.matching.configured import Configured
from lorascope.matching.difference import Aspect, Difference, TokensChanged, difference

LLAMA = builders.completed(
    builders.llama(input_embedding="model.embed_tokens", output_embedding="lm_head")
)
BY_WEIGHT = {"target_parameters": ["up_proj.weight"]}
MIXTURE = builders.completed(builders.mixture())


def side(inventory: Inventory = LLAMA, **fields: Any) -> Configured:
    stated = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"]} | fields
    found = match(inventory, LoraSpec.from_dict(stated))
    return Configured("a.json", inventory, stated, found, "owner/tiny")


def diff(a: dict[str, Any], b: dict[str, Any], inventory: Inventory = LLAMA) -> Difference:
    return difference(side(inventory, **a), side(inventory, **b))


def fields_of(found: Difference) -> list[str]:
    return [each.field for each in found.spelling]


def test_what_only_one_adapts() -> None:
    found = diff({}, {"target_modules": ["v_proj", "o_proj"]})
    assert [each.path for each in found.only_a] == [
        f"model.layers.{i}.self_attn.q_proj" for i in range(3)
    ]
    assert {each.role for each in found.only_b} == {"attention.o"}
    assert [each.path for each in found.alike] == [
        f"model.layers.{i}.self_attn.v_proj" for i in range(3)
    ]
    assert found.changed == ()
    assert not found.is_same


def test_every_target_is_in_exactly_one_part() -> None:
    a = {"rank_pattern": {"layers.1.self_attn.q_proj": 4}}
    b = {"target_modules": "all-linear", "alpha_pattern": {"v_proj": 32}}
    found = diff(a, b)
    both = len(found.changed) + len(found.alike)
    assert len(found.only_a) + both == len(found.a.match.targets)
    assert len(found.only_b) + both == len(found.b.match.targets)


@pytest.mark.parametrize(
    ("a", "b", "aspects"),
    [
        ({}, {"r": 16, "lora_alpha": 32}, {Aspect.RANK, Aspect.ALPHA, Aspect.PARAMS}),
        ({}, {"r": 16}, {Aspect.RANK, Aspect.SCALE, Aspect.PARAMS}),
        ({}, {"lora_alpha": 32}, {Aspect.ALPHA, Aspect.SCALE}),
        ({}, {"use_rslora": True}, {Aspect.SCALE}),
        ({}, {"use_dora": True}, {Aspect.VARIANTS, Aspect.PARAMS}),
        ({}, {"lora_bias": True}, {Aspect.VARIANTS, Aspect.PARAMS}),
        ({"r": 16}, {"r": 16, "init_lora_weights": "olora"}, {Aspect.PARAMS}),
    ],
)
def test_what_both_adapt_otherwise(
    a: dict[str, Any], b: dict[str, Any], aspects: set[Aspect]
) -> None:
    found = diff(a, b)
    assert {aspect for each in found.changed for aspect in each.aspects} == aspects
    assert len(found.changed) == len(found.a.match.targets)
    assert not found.is_same


def test_ranks_of_single_modules() -> None:
    found = diff({}, {"rank_pattern": {"layers.1.self_attn.q_proj": 4}})
    (changed,) = found.changed
    assert changed.a.path == "model.layers.1.self_attn.q_proj"
    assert (changed.a.rank, changed.b.rank) == (8, 4)
    assert (changed.a.scaling, changed.b.scaling) == (2.0, 4.0)


@pytest.mark.parametrize(
    ("a", "b", "fields"),
    [
        ({}, {"target_modules": r".*\.(q|v)_proj"}, ["target_modules"]),
        ({}, {"target_modules": ["self_attn.q_proj", "self_attn.v_proj"]}, ["target_modules"]),
        (
            {},
            {
                "target_modules": [
                    f"model.layers.{i}.self_attn.{n}_proj" for i in range(3) for n in "qv"
                ]
            },
            ["target_modules"],
        ),
        ({}, {"r": 2, "rank_pattern": {"[qv]_proj": 8}}, ["r", "rank_pattern"]),
        (
            {"r": 16, "lora_alpha": 8, "use_rslora": True},
            {"r": 16, "lora_alpha": 32},
            ["lora_alpha", "use_rslora"],
        ),
        ({}, {"exclude_modules": ["lm_head"]}, ["exclude_modules"]),
        ({}, {"bias": "all"}, ["bias"]),
        ({}, {"layers_to_transform": [2, 1, 0]}, ["layers_to_transform"]),
    ],
)
def test_the_same_spelled_otherwise(
    a: dict[str, Any], b: dict[str, Any], fields: list[str]
) -> None:
    found = diff(a, b)
    assert found.is_same
    assert found.trains_alike
    assert fields_of(found) == fields
    assert not found.is_spelled_alike


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({}, {}),
        ({}, {"target_modules": ["v_proj", "q_proj"], "modules_to_save": []}),
        ({"lora_alpha": 16}, {"lora_alpha": 16.0, "rank_pattern": None}),
    ],
)
def test_order_and_nothing_in_other_words_are_spelled_alike(
    a: dict[str, Any], b: dict[str, Any]
) -> None:
    found = diff(a, b)
    assert found.is_same
    assert found.is_spelled_alike


def test_the_order_of_patterns_says_something() -> None:
    patterns = {"q_proj": 4, "self_attn.q_proj": 2}
    turned = dict(reversed(patterns.items()))
    found = diff({"rank_pattern": patterns}, {"rank_pattern": turned})
    assert {(each.a.rank, each.b.rank) for each in found.changed} == {(4, 2)}
    assert fields_of(found) == ["rank_pattern"]


def test_dropout_and_initialization_are_training() -> None:
    eva = {"init_lora_weights": "eva", "eva_config": {"rho": 1.0}}
    found = diff({"eva_config": {}}, {"lora_dropout": 0.1, **eva})
    assert found.adapts_alike
    assert not found.is_same
    assert found.is_spelled_alike
    assert not found.trains_alike
    assert [(each.field, each.a, each.b) for each in found.training] == [
        ("lora_dropout", 0.0, 0.1),
        ("init_lora_weights", True, "eva"),
        ("eva_config", None, {"rho": 1.0}),
    ]


@pytest.mark.parametrize(
    ("a", "b", "field"),
    [
        ({"init_lora_weights": "gaussian"}, {"init_lora_weights": "Gaussian"}, "init_lora_weights"),
        ({}, {"loftq_config": {"loftq_bits": 4}}, "loftq_config"),
        ({}, {"eva_config": {"rho": 1.0}}, "eva_config"),
    ],
)
def test_what_peft_reads_alike_or_not_at_all_is_spelling(
    a: dict[str, Any], b: dict[str, Any], field: str
) -> None:
    found = diff(a, b)
    assert found.is_same
    assert found.training == ()
    assert fields_of(found) == [field]


def test_saved_modules() -> None:
    found = diff({"modules_to_save": ["lm_head"]}, {"modules_to_save": ["embed_tokens"]})
    assert [(each.path, each.params) for each in found.saved_only_a] == [("lm_head", 256)]
    assert [each.path for each in found.saved_only_b] == ["model.embed_tokens"]
    assert found.alike
    assert not found.is_same


@pytest.mark.parametrize("named", [[3, 2], {"embed_tokens": [2, 3]}])
def test_trained_tokens_count_by_their_rows(named: Any) -> None:
    found = diff({"trainable_token_indices": [2, 3]}, {"trainable_token_indices": named})
    assert found.is_same
    found = diff({"trainable_token_indices": [1, 2]}, {"trainable_token_indices": named})
    assert found.tokens == (TokensChanged("model.embed_tokens", (1, 2), (2, 3)),)
    assert not found.is_same, "the number of rows is the same, the rows are not"


def test_biases_count_where_the_model_has_some() -> None:
    modules = [
        builders.linear(each.path, (8, 8), Role.ATTENTION_Q, bias=True)
        if each.path.endswith("q_proj")
        else each
        for each in LLAMA.modules
    ]
    with_biases = builders.inventory_of(modules)
    found = diff({}, {"bias": "lora_only"}, with_biases)
    assert found.has_other_biases
    assert not found.is_same
    assert diff({"bias": "all"}, {"bias": "lora_only"}, with_biases).is_same


def test_expert_parameters() -> None:
    a = {"target_parameters": ["experts.down_proj"]}
    found = diff(a, {"target_parameters": ["experts.down_proj", "experts.gate_up_proj"]}, MIXTURE)
    assert {each.role for each in found.only_b} == {"moe.experts.gate_up"}
    assert all(each.is_parameter for each in found.only_b)
    found = diff(a, a | {"r": 4}, MIXTURE)
    assert {each.a.is_parameter for each in found.changed} == {True, False}


def test_a_linear_adapted_by_its_weight_is_adapted_the_same() -> None:
    found = diff(
        {"target_modules": ["q_proj", "up_proj"]}, {"target_modules": ["q_proj"], **BY_WEIGHT}
    )
    assert found.is_same
    assert fields_of(found) == ["target_modules", "target_parameters"]
    found = diff({"target_modules": ["q_proj"]}, {"target_modules": ["q_proj"], **BY_WEIGHT})
    assert {(each.path.rpartition(".")[2], each.role) for each in found.only_b} == {
        ("weight", "ffn.up")
    }


def test_two_models_of_the_same_modules_are_compared_with_a_note() -> None:
    other = builders.completed(builders.llama(reference="other"))
    found = difference(side(), side(other))
    assert found.is_same
    assert found.notes == (
        "A is for tiny, B for other; their modules have the same names and shapes.",
    )


def test_the_same_model_read_twice_needs_no_note() -> None:
    assert difference(side(), side(replace(LLAMA))).notes == ()


def test_another_task_of_one_model_is_compared_by_name() -> None:
    modules = [each for each in LLAMA.modules if each.path != "lm_head"]
    modules.append(builders.linear("score", (8, 2)))
    classifier = builders.inventory_of(modules, cls="LlamaForSequenceClassification")
    found = difference(side(), side(classifier))
    assert (found.only_a, found.only_b, found.changed) == ((), (), ())
    (note,) = found.notes
    assert "LlamaForSequenceClassification of the same model" in note


@pytest.mark.parametrize(
    ("other", "example"),
    [
        (builders.llama(2, reference="other"), "only that of A has model.layers.2."),
        (builders.llama(4, reference="other"), "only that of B has model.layers.3."),
        (
            builders.inventory_of(
                [
                    replace(each, out_features=64) if each.path == "lm_head" else each
                    for each in LLAMA.modules
                ],
                reference="other",
            ),
            "lm_head has 8 inputs and 32 outputs in A, 8 and 64 in B",
        ),
    ],
)
def test_two_models_of_other_modules_are_not_compared(other: Inventory, example: str) -> None:
    with pytest.raises(IncomparableError) as raised:
        difference(side(), side(builders.completed(other)))
    assert raised.value.what.startswith("A is for tiny (LlamaForCausalLM), B for other")
    assert example in raised.value.what
    assert raised.value.hint == (
        "Name one model to compare both on: lorascope diff A B MODEL, or model=… in Python."
    )
