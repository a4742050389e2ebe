import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lorascope.core.errors import RecipeError
from lorascope.core.recipe import Tool
from lorascope.formats.merge import Merge, merge

OWNED = frozenset({"lora_r", "lora_alpha", "lora_target_modules", "lora_target_linear"})


def axolotl(text: str, name: str = "a.yaml", **values: Any) -> str:
    known = {"base_model": "new", "adapter": "lora"}
    kept = {"base_model": None, "adapter": frozenset({"lora", "qlora"})}
    return merge(text, name, Tool.AXOLOTL, Merge(known | values, OWNED, kept, "base_model"))


def test_nothing_to_do_changes_nothing() -> None:
    text = "base_model: x\nadapter: lora # why\nlora_r: 8\n"
    assert axolotl(text, lora_r=8) == text


def test_a_value_of_another_type_is_another() -> None:
    text = "base_model: x\nadapter: lora\nlora_r: '8'\nlora_target_linear: 1\n"
    assert axolotl(text, lora_r=8, lora_target_linear=True) == (
        "base_model: x\nadapter: lora\nlora_r: 8\nlora_target_linear: true\n"
    )


def test_new_keys_stand_beside_the_others_of_the_part() -> None:
    text = "base_model: x\n\nadapter: lora\nlora_r: 8\n\nlr: 1\n"
    assert axolotl(text, lora_r=8, lora_alpha=16) == (
        "base_model: x\n\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n\nlr: 1\n"
    )


def test_a_file_without_a_line_break_at_its_end() -> None:
    assert axolotl("base_model: x\nadapter: lora", lora_r=8) == (
        "base_model: x\nadapter: lora\nlora_r: 8"
    )


def test_a_key_without_a_value() -> None:
    assert axolotl("base_model: x\nadapter:\nlora_r:\n", lora_r=8) == (
        "base_model: x\nadapter: lora\nlora_r: 8\n"
    )


def test_line_ends_stay() -> None:
    text = "base_model: x\r\nadapter: lora\r\nlora_target_linear: true\r\nlr: 1\r\n"
    assert axolotl(text, lora_r=8) == ("base_model: x\r\nadapter: lora\r\nlora_r: 8\r\nlr: 1\r\n")


def test_a_list_becomes_text_and_text_a_list() -> None:
    text = "base_model: x\nadapter: lora\nlora_target_modules:\n  - q_proj # q\n  - v_proj\nlr: 1\n"
    pattern = axolotl(text, lora_target_modules=r".*\.q")
    assert pattern == "base_model: x\nadapter: lora\nlora_target_modules: '.*\\.q'\nlr: 1\n"
    assert axolotl(pattern, lora_target_modules=["a", "b"]) == (
        "base_model: x\nadapter: lora\nlora_target_modules: ['a', 'b']\nlr: 1\n"
    )


def test_a_long_list_stands_on_lines() -> None:
    names = [f"model.layers.{i}.self_attn.q_proj" for i in range(4)]
    text = axolotl("base_model: x\nadapter: lora\n", lora_target_modules=names)
    assert "lora_target_modules:\n  - model.layers.0.self_attn.q_proj\n  - model" in text


def test_keys_are_taken_out_with_all_their_lines() -> None:
    text = (
        "base_model: x\nadapter: lora\nlora_target_modules: # which\n  - q_proj\n  - v_proj\n"
        "# the rest\nlr: 1\n"
    )
    assert axolotl(text) == "base_model: x\nadapter: lora\n# the rest\nlr: 1\n"


JSON = '{\n  "base_model": "x",\n  "lora_target_linear": true,\n  "adapter": "lora"\n}\n'


def test_json() -> None:
    assert axolotl(JSON, "a.json", lora_r=8, lora_target_modules=["q"]) == (
        '{\n  "base_model": "x",\n  "adapter": "lora",\n  "lora_r": 8,\n'
        '  "lora_target_modules": [\n    "q"\n  ]\n}\n'
    )


def test_json_on_one_line() -> None:
    text = '{"lora_target_linear": true, "base_model": "x", "adapter": "lora", "lora_r": 4}'
    assert axolotl(text, "a.json", lora_alpha=16) == (
        '{"base_model": "x", "adapter": "lora", "lora_alpha": 16}'
    )


@given(
    st.lists(st.sampled_from(sorted(OWNED)), unique=True),
    st.lists(st.sampled_from(sorted(OWNED)), unique=True),
    st.permutations(["base_model", "adapter", "lr", "datasets"]),
    st.booleans(),
)
def test_what_a_file_then_says(
    before: list[str], after: list[str], others: list[str], as_json: bool
) -> None:
    values: dict[str, Any] = {
        "base_model": "x", "adapter": "qlora", "lr": 0.1, "datasets": [{"path": "y"}],
    }  # fmt: skip
    old: dict[str, Any] = {"lora_target_modules": ["q", "k"], "lora_target_linear": True}
    new: dict[str, Any] = {"lora_target_modules": ["k", "v"], "lora_target_linear": False}
    mine = {name: old.get(name, 4) for name in before}
    content = {others[0]: values[others[0]]} | mine | {name: values[name] for name in others[1:]}
    wanted = {name: new.get(name, 8) for name in after}
    if as_json:
        text = json.dumps(content, indent=2)
        said = json.loads(axolotl(text, "a.json", **wanted))
    else:
        text = "".join(f"{yaml.safe_dump({key: each})}# {key}\n" for key, each in content.items())
        result = axolotl(text, **wanted)
        said = yaml.safe_load(result)
        assert [line for line in text.splitlines() if line.startswith("#")] == [
            line for line in result.splitlines() if line.startswith("#")
        ]
    assert said == {name: values[name] for name in others} | wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "base: &b\n  lora_r: 4\n<<: *b\nbase_model: x\nadapter: lora\n",
            "a key to be taken out stands elsewhere, behind an alias",
        ),
        ("{base_model: x, adapter: lora, lora_r: 8}\n", "do not each stand on a line"),
    ],
)
def test_what_is_not_changed(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        axolotl(text)
    assert caught.value.what.startswith("a.yaml is not changed automatically: ")
    assert said in caught.value.what


SWIFT = frozenset({"target_modules", "target_regex", "lora_rank", "use_dora"})


def swift(text: str, **values: Any) -> str:
    change = Merge({"model": "new"} | values, SWIFT, {"model": None}, "model")
    return merge(text, "run.sh", Tool.MS_SWIFT, change)


def test_an_option_with_an_equals_sign() -> None:
    text = "swift sft --model=x --lora_rank=4 --target_modules=all-linear --lr=1\n"
    assert swift(text, lora_rank=8, target_modules=["q", "v"]) == (
        "swift sft --model=x --lora_rank 8 --target_modules q v --lr=1\n"
    )


def test_quotes_of_what_says_the_same_stay() -> None:
    text = "swift sft --model 'x' --target_modules 'q' \"v\" --lora_rank 8 | tee log\n"
    assert swift(text, lora_rank=8, target_modules=["q", "v"]) == text


def test_an_option_with_dashes() -> None:
    text = "swift sft --model x --lora-rank 4 \\\n  --use-dora true \\\n  --lr 1\n"
    assert swift(text, lora_rank=8) == "swift sft --model x --lora_rank 8 \\\n  --lr 1\n"


def test_a_command_that_begins_with_the_part() -> None:
    assert swift("swift sft --model x", lora_rank=8) == "swift sft --model x --lora_rank 8"


def test_a_comment_after_the_command_stays_behind_it() -> None:
    assert swift("swift sft --model x --lr 1 # go\n", target_regex="(a|b)") == (
        "swift sft --model x --target_regex '(a|b)' --lr 1 # go\n"
    )
