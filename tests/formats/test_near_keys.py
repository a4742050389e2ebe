"""Keys that a tool does not have, and those that may be meant."""

from __future__ import annotations

from lorascope.formats.forms import ANYTHING
from lorascope.formats.keys import Key
from lorascope.formats.near_keys import SPELLINGS, near_keys, unknown_keys
from lorascope.formats.yaml_document import parse_yaml

KEYS = (Key("lora_rank", ANYTHING, "r"), Key("freeze_tower", ANYTHING))


def unknown(text: str, *others: str, is_closed: bool = False) -> dict[str, tuple[str, ...]]:
    node = parse_yaml(text, "f.yaml")
    return unknown_keys(node, KEYS, others, meant={"old": "freeze_tower"}, is_closed=is_closed)


def test_a_misspelt_key_is_named_and_others_are_left_alone() -> None:
    assert unknown("lora_rnk: 1\nFreeze-Towr: 1\nseed: 2\nlora_rank: 4\n") == {
        "lora_rnk": ("lora_rank",),
        "Freeze-Towr": ("freeze_tower",),
    }


def test_the_setting_as_it_sounds_is_named_beside_itself() -> None:
    node = parse_yaml("lora_alfa: 1\nlora_alpha: 2\n", "f.yaml")
    keys = (Key("lora_alpha", ANYTHING, "lora_alpha"),)
    assert unknown_keys(node, keys) == {"lora_alfa": ("lora_alpha",)}


def test_what_other_tools_call_it_is_named_and_empty_if_the_tool_has_no_such_setting() -> None:
    assert unknown("lora_r: 1\nold: 1\nuse_dora: 1\n") == {
        "lora_r": ("lora_rank",),
        "old": ("freeze_tower",),
        "use_dora": (),
    }


def test_a_key_nearer_to_another_of_the_tool_s_is_left_alone() -> None:
    assert unknown("local_rnk: 1\nlocal_rank: 1\nuse_dora: 1\n", "local_rank", "use_dora") == {}


def test_every_other_key_of_a_closed_mapping_is_named() -> None:
    assert unknown("lora_rink: 1\nzzz: 1\nseed: 1\n", "seed", is_closed=True) == {
        "lora_rink": ("lora_rank",),
        "zzz": (),
    }


def test_more_is_taken_for_a_misspelling_where_the_key_is_known_to_be_wrong() -> None:
    assert unknown("lora_rnnnk: 1\n") == {}
    assert unknown("lora_rnnnk: 1\n", is_closed=True) == {"lora_rnnnk": ("lora_rank",)}


def test_a_long_key_is_compared_with_none() -> None:
    assert near_keys("lora_" * 100, ["lora_r"]) == ()


def test_no_spelling_stands_for_two_fields() -> None:
    spellings = [each for field in SPELLINGS.values() for each in field]
    assert len(spellings) == len(set(spellings))
