from dataclasses import fields

import pytest
from commands import run

from lorascope._version import __version__
from lorascope.cli import check_command, common, plan_options, values
from lorascope.cli.parser import COMMANDS, build_parser
from lorascope.core import training
from lorascope.core.finding import Severity
from lorascope.core.recipe import Tool
from lorascope.core.roles import Tower
from lorascope.core.training import TrainingSetup
from lorascope.planning import PRESETS, TASKS, TRADES
from lorascope.planning.request import BIASES
from lorascope.serving.engines import engines

Capture = pytest.CaptureFixture[str]


def test_help_names_every_command_and_shows_examples(capsys: Capture) -> None:
    result = run(capsys, "--help")
    assert (result.code, result.err) == (0, "")
    for name in build_parser()[1]:
        assert f"\n    {name}" in result.out
    assert "examples:\n  lorascope models" in result.out
    assert run(capsys).out == result.out, "without a command the help is shown"


@pytest.mark.parametrize("command", build_parser()[1])
def test_each_command_has_examples_that_it_takes(command: str, capsys: Capture) -> None:
    import shlex

    result = run(capsys, command, "--help")
    assert (result.code, result.err) == (0, "")
    examples = result.out[result.out.index("examples:") :].splitlines()[1:]
    parser, _ = build_parser()
    taken = 0
    for example in examples:
        call = example.strip().removeprefix('eval "$(').partition("  ")[0]
        if call.startswith("lorascope "):
            words = shlex.split(call.partition(" | ")[0].partition(" > ")[0].rstrip(')"'))
            options = parser.parse_args(words[1:])
            assert options.command == command
            taken += 1
    assert taken >= 2


def test_version(capsys: Capture) -> None:
    assert run(capsys, "--version").out == f"lorascope {__version__}\n"


def test_choices_repeated_for_a_quick_start_are_the_real_ones() -> None:
    assert tuple(PRESETS) == plan_options.PRESETS
    assert set(plan_options.TASKS) == set(TASKS)
    assert plan_options.BIASES == BIASES
    assert plan_options.TRADES == TRADES
    assert tuple(field.name for field in fields(TrainingSetup)) == plan_options.STEP
    for name in ("DTYPES", "QUANTIZATIONS", "OPTIMIZERS", "ADAPTER_DTYPES", "SHARDINGS", "DEVICES"):
        assert getattr(plan_options, name) == getattr(training, name)
    assert tuple(str(tower) for tower in Tower) == common.TOWERS
    assert tuple(map(str, Tool)) == check_command._TOOLS
    assert tuple(map(str, Severity)) == check_command._SEVERITIES


def test_check_names_the_engines_that_it_knows() -> None:
    (serve,) = [a for a in build_parser()[1]["check"]._actions if "--serve" in a.option_strings]
    assert str(serve.help).partition(": ")[2].split(", ") == sorted(engines(), key="peft".__eq__)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["plan", "x", "--preset", "all_linaer"],
            "lorascope plan: argument --preset: 'all_linaer' is not one of qv, attention, extended,"
            " ffn, vod, all-linear. Did you mean all-linear?",
        ),
        (
            ["inspect", "x", "--tower", "visoin"],
            "lorascope inspect: argument --tower: 'visoin' is not one of text, vision, audio,"
            " projector, encoder, decoder. Did you mean vision?",
        ),
        (
            ["inspect", "x", "--task-type", "causal_lm"],
            "lorascope inspect: argument --task-type: 'causal_lm' is not one of CAUSAL_LM, SEQ_CLS,"
            " TOKEN_CLS, QUESTION_ANS, SEQ_2_SEQ_LM, FEATURE_EXTRACTION. Did you mean CAUSAL_LM?",
        ),
        (
            ["plan", "x", "--rnak", "8"],
            "lorascope plan: no such option: '--rnak'. Did you mean --rank?",
        ),
        (["inspect", "x", "--rank", "8"], "lorascope inspect: no such option: '--rank'."),
        (["inspect", "x", "y"], "lorascope inspect: one argument too many: 'y'."),
        (["inspect", "x", "--nam"], "lorascope inspect: no such option: '--nam'."),
        (
            ["inspct"],
            "lorascope: argument COMMAND: 'inspct' is not one of inspect, plan, export, check,"
            " match, diff, adapt, rule, models, schema, completion. Did you mean inspect?",
        ),
        (["inspect"], "lorascope inspect: the following arguments are required: MODEL"),
        (
            ["plan", "x", "--rank", "0"],
            "lorascope plan: argument --rank: '0' is no whole number above 0.",
        ),
        (
            ["plan", "x", "--max-params", "-5M"],
            "lorascope plan: argument --max-params: expected one argument",
        ),
        (
            ["plan", "x", "--max-params", "much"],
            "lorascope plan: argument --max-params: 'much' is no count above 0; expected for"
            " example 8000000, 10M or 1.5B.",
        ),
        (
            ["plan", "x", "--alpha", "nan"],
            "lorascope plan: argument --alpha: 'nan' is no number.",
        ),
        (
            ["inspect", "x", "--layer", "9-3"],
            "lorascope inspect: argument --layer: '9-3' is no layer or range of layers; expected"
            " for example 5 or 0-15.",
        ),
        (
            ["inspect", "x", "--width", "3"],
            "lorascope inspect: argument --width: '3' is no width from 20 to 1000000 characters.",
        ),
        (
            ["match", "x", "--targets", ","],
            "lorascope match: argument --targets: is empty; expected names separated by commas.",
        ),
        (
            ["plan", "x", "--compare", "--snippet"],
            "lorascope plan: --compare and --snippet are both given; expected one of them.",
        ),
        (
            ["plan", "x", "--compare", "--preset", "qv"],
            "lorascope plan: --compare and --preset are both given; expected one of them.",
        ),
        (
            ["inspect", "x", "--observe", "--no-observe"],
            "lorascope inspect: argument --observe/--no-observe: both are given; expected one of"
            " them.",
        ),
        (["plan", "x", "--force"], "lorascope plan: --force is given without --output or --plot."),
        (
            ["schema", "inspekt"],
            "lorascope schema: argument NAME: 'inspekt' is not one of inspect, plan, compare,"
            " match, check, diff, adapt, export, models, error. Did you mean inspect?",
        ),
    ],
)
def test_a_wrong_command_line_gets_one_message(
    arguments: list[str], message: str, capsys: Capture
) -> None:
    result = run(capsys, *arguments)
    assert result.code == 2
    assert result.out == ""
    first, *hints = result.err.splitlines()
    assert first == f"Error: {message}" or first.startswith(f"Error: {message} Did you mean")
    assert len(hints) == 1


def test_what_was_typed_reaches_no_terminal(capsys: Capture) -> None:
    for arguments in (["\x1b[2J"], ["inspect", "x", "--\x1b[2J"], ["plan", "x", "--rank", "\x1b"]):
        result = run(capsys, *arguments)
        assert result.code == 2
        assert "\x1b" not in result.err


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("8000000", 8_000_000),
        ("10M", 10**7),
        ("1.5B", 1_500_000_000),
        ("2k", 2000),
        ("1_000", 1000),
    ],
)
def test_amounts(text: str, count: int) -> None:
    assert values.amount(text) == count


@pytest.mark.parametrize("text", ["0", "", "M", "1e9", "0.1", "-1", "١", "9" * 40])
def test_no_amounts(text: str) -> None:
    import argparse

    with pytest.raises(argparse.ArgumentTypeError, match="no count above 0"):
        values.amount(text)


def test_layers_are_read() -> None:
    assert values.layers("5") == {5}
    assert values.layers("0-2,7") == {0, 1, 2, 7}


def test_every_command_is_in_the_tuple() -> None:
    assert len(COMMANDS) == len(build_parser()[1]) == 11
