from __future__ import annotations

from typing import Any

import pytest

from lorascope.source.config_fields import SPELLINGS, StatedSizes, stated_config, stated_sizes


@pytest.mark.parametrize(
    ("field", "spelling"),
    [(field, spelling) for field, spellings in SPELLINGS.items() for spelling in spellings],
)
def test_every_spelling_is_read_as_its_field(field: str, spelling: str) -> None:
    sizes = stated_sizes({spelling: 7})
    assert getattr(sizes, field) == 7
    assert sizes.stated == {field}


@pytest.mark.parametrize(
    ("level", "dtype"),
    [
        ({"torch_dtype": "bfloat16"}, "bfloat16"),
        ({"dtype": "float16", "torch_dtype": "float32"}, "float16"),
        ({"torch_dtype": "torch.float32"}, "float32"),
        ({"torch_dtype": None}, None),
    ],
)
def test_dtype_in_old_and_new_spelling(level: dict[str, Any], dtype: str | None) -> None:
    assert stated_sizes(level).dtype == dtype


def test_values_of_a_wrong_type_count_as_absent() -> None:
    assert stated_sizes({"hidden_size": "64", "num_layers": True, "d_ff": [1]}) == StatedSizes()


def test_nested_levels_are_told_apart() -> None:
    stated = stated_config(
        {
            "dtype": "bfloat16",
            "quantization_config": {"num_layers": 9},
            "thinker_config": {
                "audio_config": {"d_model": 1280},
                "text_config": {"hidden_size": 3584, "num_local_experts": 8},
            },
        }
    )
    assert stated.top == StatedSizes(dtype="bfloat16")
    assert list(stated.subs) == [
        "thinker_config",
        "thinker_config.audio_config",
        "thinker_config.text_config",
    ]
    assert stated.text == StatedSizes(hidden_size=3584, num_experts=8)


def test_a_flat_config_under_a_composite_type_states_its_sizes_at_the_top() -> None:
    stated = stated_config({"model_type": "gemma3", "hidden_size": 640, "num_hidden_layers": 18})
    assert stated.top.stated == {"hidden_size", "num_hidden_layers"}
    assert stated.text is stated.top


def test_an_empty_text_config_does_not_hide_the_top() -> None:
    assert stated_config({"hidden_size": 8, "text_config": {}}).text.hidden_size == 8
