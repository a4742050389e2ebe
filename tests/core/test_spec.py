"""What a LoRA configuration may hold, held against PEFT's own class."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from peft import LoraConfig

from lorascope.core.errors import SpecificationError
from lorascope.core.spec import VARIANT_FIELDS, LoraSpec

OWN = {"unmodelled"}


def test_fields_and_defaults_are_pefts() -> None:
    theirs = LoraConfig()
    assert set(VARIANT_FIELDS) <= {field.name for field in fields(LoraConfig)}
    for field in fields(LoraSpec):
        if field.name not in OWN:
            assert getattr(LoraSpec(), field.name) == getattr(theirs, field.name), field.name


def test_what_peft_writes_is_read() -> None:
    assert LoraSpec.from_dict(LoraConfig().to_dict()) == LoraSpec()


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("target_modules", ["q", "v"], ("q", "v")),
        ("target_modules", ".*q", ".*q"),
        ("target_modules", None, None),
        ("modules_to_save", ["head"], ("head",)),
        ("layers_to_transform", 3, 3),
        ("layers_to_transform", [1, 2], (1, 2)),
        ("rank_pattern", None, {}),
        ("rank_pattern", {"q": 4}, {"q": 4}),
        ("alpha_pattern", {"q": 0.5}, {"q": 0.5}),
        ("use_dora", None, False),
        ("init_lora_weights", "pissa", "pissa"),
        ("trainable_token_indices", [3, 1], (3, 1)),
        ("trainable_token_indices", {"wte": [3]}, {"wte": (3,)}),
        ("layer_replication", [[0, 2], (1, 3)], ((0, 2), (1, 3))),
    ],
)
def test_a_value_is_read(name: str, value: Any, read: Any) -> None:
    assert getattr(LoraSpec.from_dict({name: value}), name) == read


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("r", 4.0, "a whole number"),
        ("r", True, "a whole number"),
        ("lora_alpha", "8", "a number"),
        ("target_modules", [1], "a list of module names, or one regular expression as a string"),
        ("modules_to_save", "head", "a list of names, or null"),
        ("layers_to_transform", ["0"], "a layer index, a list of them, or null"),
        ("rank_pattern", {"q": 2.5}, "an object of pattern to whole number"),
        ("rank_pattern", ["q"], "an object of pattern to whole number"),
        ("alpha_pattern", {"q": None}, "an object of pattern to number"),
        ("bias", None, "a string"),
        ("use_rslora", 1, "true or false"),
        ("task_type", 3, "a string or null"),
        ("init_lora_weights", None, "true, false or the name of an initialization"),
        ("trainable_token_indices", {"wte": 3}, "a list of token indices, or an object"),
        ("layer_replication", [[0, 2, 4]], "a list of [start, end] pairs, or null"),
        ("layer_replication", [3], "a list of [start, end] pairs, or null"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    name: str, value: Any, expected: str
) -> None:
    with pytest.raises(SpecificationError) as caught:
        LoraSpec.from_dict({name: value}, where="a.json")
    assert str(caught.value).startswith(f"a.json: {name} is {value!r}; expected {expected}")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, 1e300])
@pytest.mark.parametrize("name", ["lora_alpha", "lora_dropout", "r"])
def test_a_number_beyond_all_bounds_is_refused(name: str, value: float) -> None:
    with pytest.raises(SpecificationError, match=name):
        LoraSpec.from_dict({name: value})
