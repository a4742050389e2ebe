"""Commands of shell scripts, cut as bash cuts them."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import within
from lorascope.core.errors import RecipeError
from lorascope.formats.node import Node
from lorascope.formats.shell_document import parse_shell
from lorascope.formats.shell_words import LARGEST_SCRIPT

BASH = shutil.which("bash")


def one(text: str) -> Node:
    nodes = parse_shell(text, "train.sh")
    assert len(nodes) == 1
    return nodes[0]


def at(text: str, node: Node) -> str:
    return text[node.spot.start : node.spot.end]


def test_options_are_read_by_name_with_their_words_as_values() -> None:
    text = "trl sft --use-peft --lora_r 16 --lora_target_modules q_proj 'v_proj' --x=1 --y -1\n"
    node = one(text)
    assert node.value == {
        "": "trl sft",
        "use_peft": True,
        "lora_r": "16",
        "lora_target_modules": ["q_proj", "v_proj"],
        "x": "1",
        "y": "-1",
    }
    assert at(text, node) == text.strip()
    assert at(text, node.fields[""]) == "trl sft"
    assert at(text, node.fields["use_peft"]) == "--use-peft"
    assert at(text, node.fields["lora_target_modules"]) == "q_proj 'v_proj'"
    assert [at(text, item) for item in node.fields["lora_target_modules"].items] == [
        "q_proj",
        "'v_proj'",
    ]
    assert at(text, node.fields["x"]) == "1"
    assert text[node.keys["x"].start : node.keys["x"].end] == "--x"


def test_commas_between_quoted_words_stay_visible() -> None:
    node = one('trl sft --lora_target_modules "q_proj", "v_proj"')
    assert node.value["lora_target_modules"] == ["q_proj,", "v_proj"]


def test_lines_and_columns_count_from_one_past_continuations_and_comments() -> None:
    node = one("#!/bin/bash\n# it's a comment\ntrl sft \\\n  --lora_r 16 # and 'this'\r\n")
    spot = node.fields["lora_r"].spot
    assert (spot.line, spot.column) == (4, 12)
    assert (node.keys["lora_r"].line, node.keys["lora_r"].column) == (4, 3)


def test_an_option_that_stands_twice_has_its_last_value() -> None:
    assert one("trl sft --lora_r 8 --lora_r 16").value["lora_r"] == "16"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("trl grpo --a 1", "trl grpo"),
        ("/opt/bin/trl sft --a 1", "trl sft"),
        ("CUDA_VISIBLE_DEVICES=0,1 nohup trl dpo --a 1 > log 2>&1 &", "trl dpo"),
        ("env A=b exec trl kto --a 1 | tee log", "trl kto"),
        ("python -m trl.scripts.sft --a 1", "trl sft"),
        ("python3 -u trl/scripts/dpo.py --a 1", "trl dpo"),
        ("accelerate launch --config_file=x.yaml examples/scripts/sft_vlm.py --a 1", "trl sft_vlm"),
        ("accelerate launch --num_processes 2 -m trl.scripts.grpo --a 1", "trl grpo"),
        ("python my/sft.py --use_peft --a 1", "trl sft.py"),
        ("torchrun --nproc_per_node 2 reward.py --model_name_or_path=m --a 1", "trl reward.py"),
        ("python -m torch.distributed.run --n 2 swift/cli/sft.py --a 1", "swift sft"),
        ("uv run trl sft --a 1", "trl sft"),
        ("NPROC_PER_NODE=4 swift rlhf --a 1", "swift rlhf"),
        ("swift pt --a 1; echo done", "swift pt"),
        ("cd x && swift sft --a 1 || exit 1", "swift sft"),
        ("if true; then trl sft --a 1; fi", "trl sft"),
        ("( trl sft --a 1 )", "trl sft"),
        ("hf jobs uv run --flavor a100 'https://x.y/trl/scripts/sft.py' --a 1", "trl sft"),
        ("llamafactory-cli train --a 1", "llamafactory-cli train"),
        ("FORCE_TORCHRUN=1 lmf train --a 1", "llamafactory-cli train"),
        ("python src/train_bash.py --stage sft --a 1", "llamafactory-cli train"),
    ],
)
def test_commands_that_train(text: str, command: str) -> None:
    node = one(text)
    assert node.value[""] == command
    assert node.value["a"] == "1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "echo trl sft --lora_r 8",
        "pip install trl sft",
        "trl env",
        "trl --help",
        "trl",
        "swift infer --model x",
        "llamafactory-cli export --finetuning_type lora",
        "python src/train.py --lora_rank 8",
        "megatron sft --model x",
        "python train.py --use_peft",
        "python sft.py --learning_rate 1e-4",
        "# trl sft --lora_r 8",
        "cat <<EOF\ntrl sft --lora_r 8\nEOF",
        "cat <<-'E F'\n\ttrl sft 'unclosed\n\tE F\n",
        "A='trl sft --lora_r 8'",
        "echo $(trl sft --lora_r 8)",
    ],
)
def test_what_starts_no_training_is_left_out(text: str) -> None:
    assert parse_shell(text, "x.sh") == ()


def test_a_script_may_start_several_trainings() -> None:
    nodes = parse_shell("trl sft --lora_r 8\nswift sft --model m\n", "x.sh")
    assert [node.value for node in nodes] == [
        {"": "trl sft", "lora_r": "8"},
        {"": "swift sft", "model": "m"},
    ]


def test_the_file_that_swift_takes_in_place_of_options_is_named() -> None:
    assert one("swift sft conf/train.yaml --lora_rank 4").value == {
        "": "swift sft",
        "config": "conf/train.yaml",
        "lora_rank": "4",
    }


@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("A=b", "b"),
        ("A='b c'", ["b", "c"]),
        ("export A=b", "b"),
        ("A=b; B=$A; A=${B}x", "bx"),
        ("A=b\nA+=c", "bc"),
        ("", "$A"),
        ("A=$(cat 'x y')", "$(cat 'x y')"),
        ("A=`ls -l`", "`ls -l`"),
        ("A=", True),
        ("A=(b 'c d')", "$A"),
    ],
)
def test_variables_of_the_script_are_filled_in_and_cut_at_blanks(
    script: str, value: object
) -> None:
    assert one(f"{script}\ntrl sft --a $A").value["a"] == value


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ('"$A"', "b c"),
        ("'$A'", "$A"),
        (r"\$A", "$A"),
        ("x${A}y", ["xb", "cy"]),
        ("${NO:-d e}", ["d", "e"]),
        ('"${NO:-d}"', "d"),
        ('"${NO:-"d"}"', "d"),
        ("${NO:-$A}", ["b", "c"]),
        ("${EMPTY-d}x", "x"),
        ("${EMPTY:-d}", "d"),
        ("${A%b}", "${A%b}"),
        ('"$HOME/x"', "$HOME/x"),
        ("$1", "$1"),
        ("a$", "a$"),
        (r"$'it\'s'", "it's"),
        (r'"a\"b\$c\d"', r'a"b$c\d'),
        ("a\\\nb", "ab"),
        ("'a'\"b\"c", "abc"),
        ('$(echo "it\'s $(date)")', '$(echo "it\'s $(date)")'),
        ("$((1 << 2))", "$((1 << 2))"),
    ],
)
def test_words_are_cut_and_unquoted_as_bash_does(word: str, value: object) -> None:
    assert one(f"A='b c'; EMPTY=\ntrl sft --a {word}").value["a"] == value


def test_an_array_of_options_keeps_where_its_words_stand() -> None:
    text = 'ARGS=(\n  --lora_r 16 # rank\n  --m "a b"\n)\nARGS+=(--n 1)\ntrl sft "${ARGS[@]}"\n'
    node = one(text)
    assert node.value == {"": "trl sft", "lora_r": "16", "m": "a b", "n": "1"}
    assert node.fields["lora_r"].spot.line == 2
    assert at(text, node.fields["m"]) == '"a b"'


def test_a_variable_may_hold_whole_options() -> None:
    text = "ARGS='--lora_r 16 --lora_alpha=32'\ntrl sft $ARGS"
    node = one(text)
    assert node.value == {"": "trl sft", "lora_r": "16", "lora_alpha": "32"}
    assert at(text, node.fields["lora_alpha"]) == "$ARGS"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trl sft \\\n  --a 'b", "x.sh, line 2, column 7: ' is opened and never closed"),
        ('trl sft --a "b', 'x.sh, line 1, column 13: " is opened and never closed'),
        ("trl sft `ls", "x.sh, line 1, column 9: ` is opened and never closed"),
        ("trl sft $(ls", "x.sh, line 1, column 10: ( is opened and never closed"),
        ("trl sft ${A", "x.sh, line 1, column 10: { is opened and never closed"),
        ("trl sft $'a", "x.sh, line 1, column 10: ' is opened and never closed"),
    ],
)
def test_what_is_never_closed_is_an_error_that_says_where(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        parse_shell(text, "x.sh")
    assert raised.value.what.startswith(message)


def test_a_script_of_no_sensible_size_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"x\.sh has 262,145 characters; expected"):
        parse_shell("#" * (LARGEST_SCRIPT + 1), "x.sh")


def test_a_script_of_too_many_words_is_refused() -> None:
    for text in ("a " * 20_001, "trl sft " + "$A" * 20_002):
        with pytest.raises(RecipeError, match="more than 20,000 words and variables"):
            parse_shell(text, "x.sh")


def test_variables_that_grow_without_measure_are_refused() -> None:
    script = "A=aaaaaaaaaaaaaaaa\n" + "A=$A$A\n" * 40 + "trl sft --a $A"
    with pytest.raises(RecipeError, match="grow beyond 1,048,576 characters"):
        parse_shell(script, "x.sh")


@pytest.mark.parametrize(
    "text",
    [
        "trl sft " + "$(" * 50_000,
        "trl sft " + "${A:-" * 50_000,
        "trl sft " + "$A" * 100_000,
        "trl sft " + "'a'" * 80_000,
        "trl sft " + "--a b " * 40_000,
        "trl sft " + "<<E " * 50_000 + "\n" * 1000,
        "A=(" * 80_000,
        "A+=x\n" * 50_000,
        "trl sft --a $(' " * 15_000,
        "trl sft --a `\\" * 15_000,
        "a=${a:-${a:-${a:-${a:-" * 8_000 + "}" * 32_000,
        "accelerate launch sft.py " * 9_000,
        "python sft.py --x " * 9_000,
        "\\\n" * 100_000,
        '"$(' * 80_000,
    ],
)
def test_no_script_takes_long(text: str) -> None:
    with within(5), suppress(RecipeError):
        parse_shell(text[:LARGEST_SCRIPT], "x.sh")


@given(st.text(alphabet="ab'\"\\$`{}()<>|;&#= \n-~*A", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        nodes = parse_shell(f"A=1\ntrl sft --a {text}", "x.sh")
    except RecipeError:
        return
    for node in nodes:
        assert 0 <= node.spot.start <= node.spot.end


PLAIN = st.text(alphabet="ab'\"\\$ #=\t,.", max_size=12)


@pytest.mark.skipif(BASH is None, reason="needs bash")
@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_words_are_those_that_bash_passes_on(parts: list[str]) -> None:
    text = " ".join(parts)
    asked = f"printf '%s\\0' {text}\n"
    done = subprocess.run(
        [str(BASH), "--norc", "-c", asked], capture_output=True, env={}, check=False
    )
    if done.returncode or done.stderr or b"\xff" in done.stdout:
        return
    passed = done.stdout.decode().split("\0")[:-1]
    if "$" in text or "\\\n" in text or not parts or passed == [""]:
        return
    node = one(f"trl sft --a {text}\n") if passed and not passed[0].startswith("-") else None
    if node is not None:
        value = node.value["a"]
        assert (value if isinstance(value, list) else [value]) == passed
