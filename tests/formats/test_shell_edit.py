"""Words of a script are changed in place, and nothing else."""

from __future__ import annotations

import pytest

from lorascope.core.errors import RecipeError
from lorascope.core.recipe import Edit, Recipe, Tool
from lorascope.formats import ms_swift, trl
from lorascope.formats.shell_document import parse_shell
from lorascope.formats.shell_edit import edit_shell


def recipe_of(text: str, index: int = 0) -> Recipe:
    node = parse_shell(text, "x.sh")[index]
    dialect = trl.DIALECT if node.value[""].startswith("trl") else ms_swift.DIALECT
    return dialect.read(node, "x.sh")


def edited(text: str, *edits: Edit, index: int = 0) -> str:
    return edit_shell(text, recipe_of(text, index), edits)


def entry(old: str, *new: str, field: str = "target_modules") -> Edit:
    return Edit(field, old, new)


TRL = "trl sft --use_peft --lora_target_modules {} --lora_r 8 # it's\n"


@pytest.mark.parametrize(
    ("words", "edits", "expected"),
    [
        ("q_proj v_proj", [entry("q_proj", "qkv_proj")], "qkv_proj v_proj"),
        ("q_proj v_proj", [entry("q_proj", "a", "b")], "a b v_proj"),
        ("a b c", [entry("b")], "a c"),
        ("a b c", [entry("c")], "a b"),
        ('"q_proj", "v_proj"', [entry("q_proj,", "q_proj")], '"q_proj" "v_proj"'),
        ("'q_proj' v", [entry("q_proj", "a", "b")], "'a' 'b' v"),
        ("a b a", [entry("a", "c")], "c b c"),
        ("a b", [entry("a", "x y")], "'x y' b"),
        ('"a" b', [entry("a", "$x")], "'$x' b"),
        ("a b", [entry("a", r".*\.q")], r"'.*\.q' b"),
        ("a b", [Edit("target_modules", None, ("c", "d"))], "c d"),
        ('"a" "b"', [Edit("target_modules", None, ("c", "d", "e"))], '"c" "d" "e"'),
        ("a b", [Edit("target_modules", None, "all-linear")], "all-linear"),
        ("a \\\n  b \\\n  c", [entry("b")], "a \\\n  c"),
        ("\\\n  a \\\n  b \\\n  c", [entry("a"), entry("b", "d", "e")], "\\\n  d e \\\n  c"),
    ],
)
def test_a_list_is_changed_in_place(words: str, edits: list[Edit], expected: str) -> None:
    assert edited(TRL.format(words), *edits) == TRL.format(expected)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (Edit("r", None, 16), "trl sft --use_peft --lora_r 16 --use_dora --lora_dropout=0.1"),
        (
            Edit("lora_dropout", None, 0.0),
            "trl sft --use_peft --lora_r 8 --use_dora --lora_dropout=0.0",
        ),
        (Edit("lora_dropout", None, None), "trl sft --use_peft --lora_r 8 --use_dora"),
        (Edit("use_dora", None, False), "trl sft --use_peft --lora_r 8 --lora_dropout=0.1"),
        (
            Edit("use_dora", None, True),
            "trl sft --use_peft --lora_r 8 --use_dora --lora_dropout=0.1",
        ),
        (
            Edit("lora_alpha", None, 32),
            "trl sft --use_peft --lora_r 8 --use_dora --lora_dropout=0.1 --lora_alpha 32",
        ),
        (
            Edit("target_parameters", None, ("mlp.experts.down_proj",)),
            "trl sft --use_peft --lora_r 8 --use_dora --lora_dropout=0.1"
            " --lora_target_parameters mlp.experts.down_proj",
        ),
        (
            Edit("lora_alpha", None, None),
            "trl sft --use_peft --lora_r 8 --use_dora --lora_dropout=0.1",
        ),
    ],
)
def test_a_whole_option_is_changed_added_or_taken_out(edit: Edit, expected: str) -> None:
    text = "trl sft --use_peft --lora_r 8 --use_dora --lora_dropout=0.1"
    assert edited(f"{text} | tee log\n", edit) == f"{expected} | tee log\n"


def test_a_list_without_any_entry_left_is_taken_out() -> None:
    text = "trl sft --use_peft \\\n  --lora_modules_to_save a b \\\n  --lora_r 8\n"
    edits = (entry("a", field="modules_to_save"), entry("b", field="modules_to_save"))
    assert edited(text, *edits) == "trl sft --use_peft \\\n  --lora_r 8\n"


def test_one_word_after_an_equals_sign_becomes_several() -> None:
    text = "trl sft --use_peft --lora_target_modules=qkv_proj --lora_r 8"
    assert edited(text, entry("qkv_proj", "q_proj", "v_proj")) == (
        "trl sft --use_peft --lora_target_modules q_proj v_proj --lora_r 8"
    )


def test_ms_swift_has_another_option_for_patterns() -> None:
    text = "swift sft --model m --target_modules q_proj v_proj --lora_rank 8"
    assert edited(text, Edit("target_modules", None, ".*q_proj")) == (
        "swift sft --model m --target_regex '.*q_proj' --lora_rank 8"
    )
    text = "swift sft --model m --target_regex '.*q_proj'"
    assert edited(text, Edit("target_modules", None, ("q_proj", "v_proj"))) == (
        "swift sft --model m --target_modules 'q_proj' 'v_proj'"
    )
    assert edited(text, entry(".*q_proj", ".*v_proj")) == (
        "swift sft --model m --target_regex '.*v_proj'"
    )


def test_words_of_an_array_are_changed_where_they_stand() -> None:
    text = 'A=(\n  --lora_target_modules a b # x\n  --use_peft\n)\ntrl sft "${A[@]}"\n'
    assert edited(text, entry("a", "c")) == text.replace(" a b", " c b")


def test_only_the_command_of_the_recipe_is_changed() -> None:
    text = "swift sft --model a --target_modules q v\nswift sft --model b --target_modules q v\n"
    assert edited(text, entry("q", "k"), index=1) == (
        "swift sft --model a --target_modules q v\nswift sft --model b --target_modules k v\n"
    )


@pytest.mark.parametrize(
    ("text", "edit", "message"),
    [
        (
            "T='a b'\ntrl sft --use_peft --lora_target_modules $T",
            entry("a", "c"),
            "x.sh, line 2, column 42: '$T' stands for 'a' by a variable; expected the words",
        ),
        (
            'R=8\ntrl sft --use_peft --lora_r "$R"',
            Edit("r", None, 16),
            "stands for '8' by a variable",
        ),
        (
            "O='--lora_r 8'\ntrl sft --use_peft $O",
            Edit("r", None, 16),
            "stands for '8' by a variable",
        ),
        (
            "trl sft --use_peft --lora_target_modules a b",
            entry("b"),
            "only 'a' would be left, which TRL hands to PEFT as a regular expression",
        ),
        (
            "trl sft --use_peft --lora_target_modules a b",
            entry("z", "y", field="modules_to_save"),
            "the command has no modules_to_save; expected it to hold 'z'",
        ),
        (
            "trl sft --use_peft --lora_r 8",
            Edit("exclude_modules", None, ("a",)),
            "trl has no option for exclude_modules",
        ),
        (
            "trl sft --use_peft --lora_r 8",
            Edit("use_dora", None, "maybe"),
            "--use_dora is 'maybe'",
        ),
    ],
)
def test_what_cannot_be_changed_is_an_error_that_says_where(
    text: str, edit: Edit, message: str
) -> None:
    with pytest.raises(RecipeError) as raised:
        edited(text, edit)
    assert message in raised.value.what


def test_another_text_than_the_one_that_was_read_is_refused() -> None:
    recipe = recipe_of("trl sft --use_peft --lora_r 8")
    with pytest.raises(RecipeError, match="the command that was read is not in this text"):
        edit_shell("echo\ntrl sft --use_peft --lora_r 8", recipe, [Edit("r", None, 16)])


def test_a_tool_without_commands_is_refused() -> None:
    with pytest.raises(RecipeError, match="commands of peft are not changed automatically"):
        edit_shell("x", Recipe(Tool.PEFT, "x.sh", {}), [Edit("r", None, 16)])
