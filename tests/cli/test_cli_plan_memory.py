"""Memory and budgets on the command line, with a made-up prediction except where said."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from jsonschema import Draft202012Validator

from lorascope import api
from lorascope.cli import values
from lorascope.core.errors import MemoryPredictionError
from lorascope.core.inventory import Inventory
from lorascope.core.memory import Memory, MemoryParts
from lorascope.core.plan import Plan
from lorascope.core.training import TrainingSetup
from lorascope.report.schemas import schema_text

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
MIB = 1024**2


class MadeUp:
    """A predictor: 1 MiB for each trainable parameter, 1 KiB for each token."""

    def __init__(self) -> None:
        self.setups: list[TrainingSetup] = []

    def predict(self, plan: Plan, setup: TrainingSetup, *, full: bool = False) -> Memory:
        self.setups.append(setup)
        kept = 1024 * setup.tokens // (4 if setup.gradient_checkpointing else 1)
        return Memory(
            setup=setup,
            parts=MemoryParts(base=10 * MIB, adapter=MIB * plan.trainable_params, activation=kept),
            peak_at="loss",
            kept_bytes=kept,
            overhead_bytes=MIB,
            layers_run=2,
            layers_total=3,
            notes=("Made up.",),
        )


@pytest.fixture
def made_up(monkeypatch: Patch) -> MadeUp:
    predictor = MadeUp()
    monkeypatch.setattr(api, "predictor", lambda model, **_: predictor)
    return predictor


def validated(printed: str, schema: str) -> dict[str, object]:
    value: dict[str, object] = json.loads(printed)
    Draft202012Validator(json.loads(schema_text(schema))).validate(value)
    return value


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--memory",), {}),
        (("--batch-size", "4"), {"batch_size": 4}),
        (("--seq-len", "16"), {"seq_len": 16}),
        (("--dtype", "fp16"), {"dtype": "fp16"}),
        (("--quantization", "nf4"), {"quantization": "nf4"}),
        (("--gradient-checkpointing",), {"gradient_checkpointing": True}),
        (("--optimizer", "sgd"), {"optimizer": "sgd"}),
        (("--adapter-dtype", "bf16"), {"adapter_dtype": "bf16"}),
        (("--devices", "2", "--sharding", "fsdp"), {"devices": 2, "sharding": "fsdp"}),
        (("--device", "cpu"), {"device": "cpu"}),
    ],
)
def test_any_option_of_the_step_asks_for_memory(
    llama: Inventory,
    made_up: MadeUp,
    capsys: Capture,
    arguments: tuple[str, ...],
    expected: dict[str, object],
) -> None:
    result = run(capsys, "plan", "tiny", *arguments)
    assert (result.code, result.err) == (0, "")
    assert "Memory of one training step" in result.out
    assert made_up.setups == [replace(TrainingSetup(), **expected)]  # type: ignore[arg-type]


def test_without_such_an_option_nothing_is_predicted(
    llama: Inventory, made_up: MadeUp, capsys: Capture
) -> None:
    result = run(capsys, "plan", "tiny", "--json")
    value = validated(result.out, "plan")
    assert (value["memory"], value["fit"]) == (None, None)
    assert made_up.setups == []


def test_json_states_every_part_in_bytes(
    llama: Inventory, made_up: MadeUp, capsys: Capture
) -> None:
    value = validated(run(capsys, "plan", "tiny", "--memory", "--json").out, "plan")
    memory = value["memory"]
    assert isinstance(memory, dict)
    parts = ("base", "adapter", "gradient", "optimizer", "activation", "logits", "temporary")
    assert sum(memory[f"{part}_bytes"] for part in parts) == memory["peak_bytes"]
    assert memory["kept_bytes_per_token"] == 1024
    assert memory["setup"]["seq_len"] == 2048
    assert memory["notes"] == ["Made up."]


@pytest.mark.parametrize(("positions", "seq_len"), [(None, 2048), (512, 512), (131072, 2048)])
def test_the_default_length_keeps_to_the_positions(
    serve: Callable[[Inventory], None],
    llama: Inventory,
    made_up: MadeUp,
    capsys: Capture,
    positions: int | None,
    seq_len: int,
) -> None:
    serve(replace(llama, model=replace(llama.model, positions=positions)))
    run(capsys, "plan", "tiny", "--memory")
    assert made_up.setups[0].seq_len == seq_len


def test_a_length_beyond_the_positions_is_refused(
    serve: Callable[[Inventory], None], llama: Inventory, made_up: MadeUp, capsys: Capture
) -> None:
    serve(replace(llama, model=replace(llama.model, positions=512)))
    for more in ((), ("--compare",)):
        result = run(capsys, "plan", "tiny", "--seq-len", "513", *more)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("Error: --seq-len is 513; this model has 512 positions.\n")
    assert made_up.setups == []


def test_a_model_whose_step_fails_says_why(
    llama: Inventory, monkeypatch: Patch, capsys: Capture
) -> None:
    class Failing:
        def predict(self, plan: Plan, setup: TrainingSetup, *, full: bool = False) -> Memory:
            raise MemoryPredictionError("The forward pass fails: no.", "Try another class.")

    monkeypatch.setattr(api, "predictor", lambda model, **_: Failing())
    result = run(capsys, "plan", "tiny", "--memory", "--json")
    assert result.code == 2
    assert result.err == "Error: The forward pass fails: no.\nTry another class.\n"
    assert validated(result.out, "error")


class TestCompare:
    def test_each_preset_has_its_peak(
        self, llama: Inventory, made_up: MadeUp, capsys: Capture
    ) -> None:
        result = run(capsys, "plan", "tiny", "--compare", "--memory", "--json")
        value = validated(result.out, "compare")
        plans = value["plans"]
        assert isinstance(plans, list)
        assert all(
            plan["memory"]["peak_bytes"] == 12 * MIB + plan["trainable_params"] * MIB
            for plan in plans
            if plan["targets"]
        )
        assert value["setup"] == {**vars_of(TrainingSetup())}

    def test_text_has_columns_and_a_plot(
        self, llama: Inventory, made_up: MadeUp, capsys: Capture
    ) -> None:
        result = run(capsys, "plan", "tiny", "--compare", "--seq-len", "64", "--width", "120")
        assert (result.code, result.err) == (0, "")
        assert "peak memory  kept a token" in result.out
        assert "one training step of 1 × 64 tokens" in result.out
        assert "●" in result.out
        assert "all-linear ●" in result.out

    def test_a_budget_is_held_against_each_row(
        self, llama: Inventory, made_up: MadeUp, capsys: Capture
    ) -> None:
        result = run(capsys, "plan", "tiny", "--compare", "--max-memory", "900MiB")
        assert result.code == 0
        assert "- all-linear: It needs 3.01 GiB with the overhead, 2.13 GiB more" in result.out
        assert "- qv: It needs" not in result.out

    def test_nothing_of_memory_unless_asked(
        self, llama: Inventory, made_up: MadeUp, capsys: Capture
    ) -> None:
        value = validated(run(capsys, "plan", "tiny", "--compare", "--json").out, "compare")
        assert value["setup"] is None
        assert made_up.setups == []


def vars_of(setup: TrainingSetup) -> dict[str, object]:
    return {name: getattr(setup, name) for name in TrainingSetup.__dataclass_fields__}


class TestPlot:
    @pytest.fixture(autouse=True)
    def _needs_matplotlib(self) -> None:
        pytest.importorskip("matplotlib")

    @pytest.mark.parametrize(
        ("name", "start"), [("a.svg", b"<?xml"), ("b.PNG", b"\x89PNG"), ("c.d.svg", b"<?xml")]
    )
    def test_the_end_of_the_name_says_the_format(
        self,
        llama: Inventory,
        made_up: MadeUp,
        capsys: Capture,
        tmp_path: Path,
        name: str,
        start: bytes,
    ) -> None:
        path = tmp_path / name
        result = run(capsys, "plan", "tiny", "--compare", "--plot", str(path))
        assert result.code == 0
        assert result.err == f"Wrote {path}\n"
        assert path.read_bytes().startswith(start)
        assert made_up.setups, "the plot asks for memory by itself"

    def test_the_same_again_is_the_same_file(
        self, llama: Inventory, made_up: MadeUp, capsys: Capture, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.svg"
        made = []
        for _ in range(2):
            run(capsys, "plan", "tiny", "--compare", "--plot", str(path))
            made.append(path.read_bytes())
        assert made[0] == made[1]
        assert list(tmp_path.iterdir()) == [path]

    def test_where_nothing_can_be_written_nothing_is_predicted(
        self, llama: Inventory, made_up: MadeUp, capsys: Capture, tmp_path: Path
    ) -> None:
        (tmp_path / "d.svg").mkdir()
        for path, why in (
            (tmp_path / "no" / "a.svg", "no directory"),
            (tmp_path / "d.svg", "is a"),
        ):
            result = run(capsys, "plan", "tiny", "--compare", "--plot", str(path))
            assert (result.code, result.out) == (2, "")
            assert f"Error: {path} cannot be written: " in result.err
            assert why in result.err
        assert made_up.setups == []

    def test_another_file_is_kept_unless_forced(
        self, llama: Inventory, made_up: MadeUp, capsys: Capture, tmp_path: Path
    ) -> None:
        path, link = tmp_path / "kept.svg", tmp_path / "link.svg"
        path.write_text("old")
        link.symlink_to(path)
        for each in (path, link):
            result = run(capsys, "plan", "tiny", "--compare", "--plot", str(each))
            assert (result.code, result.out) == (2, "")
            assert f"Error: {path} exists and is not this plot.\nUse --force" in result.err
            assert path.read_text() == "old"
        assert made_up.setups == [], "told before anything is predicted"
        assert run(capsys, "plan", "tiny", "--compare", "--plot", str(link), "--force").code == 0
        assert link.is_symlink()
        assert path.read_bytes().startswith(b"<?xml")
        other = run(capsys, "plan", "tiny", "--compare", "--plot", str(path), "--seq-len", "64")
        assert other.code == 2
        assert "exists and is not this plot" in other.err

    def test_a_broken_matplotlib_is_told(
        self, llama: Inventory, made_up: MadeUp, capsys: Capture, monkeypatch: Patch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        result = run(capsys, "plan", "tiny", "--compare", "--plot", "a.svg")
        assert (result.code, made_up.setups) == (2, [])
        assert "matplotlib, which is installed and cannot be imported: " in result.err

    @pytest.mark.parametrize(
        "failure", [OSError(28, "No space left on device"), KeyboardInterrupt()]
    )
    def test_nothing_is_left_half_written(
        self,
        llama: Inventory,
        made_up: MadeUp,
        capsys: Capture,
        tmp_path: Path,
        monkeypatch: Patch,
        failure: BaseException,
    ) -> None:
        path = tmp_path / "a.svg"
        path.write_text("old")

        def fail(*_: object) -> None:
            raise failure

        monkeypatch.setattr(Path, "replace", fail)
        result = run(capsys, "plan", "tiny", "--compare", "--plot", str(path), "--force")
        assert result.code == (130 if isinstance(failure, KeyboardInterrupt) else 2)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_without_matplotlib_it_says_what_to_install(
        self, llama: Inventory, made_up: MadeUp, capsys: Capture, monkeypatch: Patch
    ) -> None:
        monkeypatch.setattr("lorascope.cli.write_plot.importlib.util.find_spec", lambda name: None)
        result = run(capsys, "plan", "tiny", "--compare", "--plot", "a.svg")
        assert result.code == 2
        assert "pip install 'lorascope[plot]'" in result.err
        assert not Path("a.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "0"], "argument --batch-size: '0' is no whole number above 0."),
        (
            ["--devices", "1" * 16],
            f"argument --devices: '{'1' * 16}' has more than 15 digits.",
        ),
        (["--scores", ""], "--scores is empty; expected a file."),
        (["--seq-len", "2k"], "argument --seq-len: '2k' is no whole number above 0."),
        (
            ["--optimizer", "adam"],
            "argument --optimizer: 'adam' is not one of adamw, adamw-8bit, paged-adamw-8bit,"
            " adafactor, sgd. Did you mean adamw?",
        ),
        (
            ["--max-memory", "24"],
            "argument --max-memory: '24' has no unit; expected for example 24GiB, 512MiB or 80GB.",
        ),
        (
            ["--max-memory", "24G"],
            "argument --max-memory: '24G' has the unit 'G'; expected 24GiB or 24GB.",
        ),
        (["--plot", "a.svg"], "--plot is given without --compare."),
        (
            ["--compare", "--plot", "a.pdf"],
            "argument --plot: 'a.pdf' ends with neither .svg nor .png; expected for example"
            " memory.svg.",
        ),
        (["--trade", "batch"], "--trade is given without --max-memory."),
        (
            ["--max-memory", "24GiB", "--trade", "bacth"],
            "argument --trade: 'bacth' is not one of checkpointing, batch, rank, quantization,"
            " roles. Did you mean batch?",
        ),
        (
            ["--compare", "--scores", "x.json"],
            "--compare and --scores are both given; expected one of them.",
        ),
        (
            ["--compare", "--memory-facts"],
            "--compare and --memory-facts are both given; expected one of them.",
        ),
        (
            ["--snippet", "--batch-size", "2"],
            "--snippet and --batch-size are both given; expected one of them.",
        ),
    ],
)
def test_a_wrong_command_line_is_refused_before_any_work(
    arguments: list[str], message: str, capsys: Capture, monkeypatch: Patch
) -> None:
    from lorascope.cli import load

    monkeypatch.setattr(load, "load", lambda options: pytest.fail("the model was read"))
    result = run(capsys, "plan", "tiny", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[0] == f"Error: lorascope plan: {message}"
    assert len(result.err.splitlines()) == 2


def test_sharding_over_one_device_is_refused_before_any_work(
    capsys: Capture, monkeypatch: Patch
) -> None:
    from lorascope.cli import load

    monkeypatch.setattr(load, "load", lambda options: pytest.fail("the model was read"))
    result = run(capsys, "plan", "tiny", "--sharding", "fsdp")
    assert result.code == 2
    assert result.err.startswith("Error: --sharding fsdp needs more than one device")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist; expected a file"),
        ("{", "is not valid JSON"),
        ("[1]", "no object of names and numbers"),
        ('{"q": NaN}', "holds NaN; expected finite numbers"),
        ('{"q": "much"}', "the score of q is 'much'; expected a number"),
        ("{}", "holds 0 scores"),
    ],
)
def test_scores_that_cannot_be_read_are_refused_before_any_work(
    content: str | None, message: str, capsys: Capture, monkeypatch: Patch, tmp_path: Path
) -> None:
    from lorascope.cli import load

    monkeypatch.setattr(load, "load", lambda options: pytest.fail("the model was read"))
    path = tmp_path / "scores.json"
    if content is not None:
        path.write_text(content)
    result = run(capsys, "plan", "tiny", "--scores", str(path))
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert str(path) in result.err


def test_a_budget_says_what_was_given_up(
    llama: Inventory, made_up: MadeUp, capsys: Capture
) -> None:
    peak = 10 + 168 * 8 // 8 * 4 + 2  # MiB: enough for none of what is asked
    arguments = ("--max-memory", f"{peak}MiB", "--batch-size", "4")
    text = run(capsys, "plan", "tiny", *arguments)
    assert text.code == 0, text.err
    assert "Made to fit" in text.out
    value = validated(run(capsys, "plan", "tiny", *arguments, "--json").out, "plan")
    fit, memory = value["fit"], value["memory"]
    assert isinstance(fit, dict)
    assert isinstance(memory, dict)
    assert memory["peak_bytes"] + memory["overhead_bytes"] <= fit["max_memory"] == peak * MIB
    assert fit["steps"]
    for step in fit["steps"]:
        row = rf"\n{step['trade']} +{re.escape(step['before'])} +{re.escape(step['after'])} "
        assert re.search(row, text.out), row
        assert step["advice"]["text"] in text.out.replace("\n    ", " ")


def test_a_snippet_within_a_budget_says_how_to_train(
    llama: Inventory, made_up: MadeUp, capsys: Capture
) -> None:
    result = run(capsys, "plan", "tiny", "--snippet", "--max-memory", "24GiB", "--batch-size", "3")
    assert (result.code, result.err) == (0, "")
    compile(result.out, "snippet", "exec")
    assert result.out.splitlines()[-1].startswith("# Train with: 3 × 2,048 tokens, bf16 base")


def test_a_budget_that_all_fits_says_so(llama: Inventory, made_up: MadeUp, capsys: Capture) -> None:
    result = run(capsys, "plan", "tiny", "--max-memory", "24GiB")
    assert "Nothing had to be given up." in result.out
    assert "24.00 GiB, peak and overhead together" in result.out


@pytest.mark.parametrize("text", ["a.svg", "x/y.png", "A.SVG", "é.svg", "-.png"])
def test_names_of_plots(text: str) -> None:
    assert values.plot_file(text) == text


@pytest.mark.parametrize("text", ["a", ".svg", "x/.png", "a.svg/", "a.jpg", ""])
def test_no_names_of_plots(text: str) -> None:
    import argparse

    with pytest.raises(argparse.ArgumentTypeError, match=r"neither \.svg nor \.png"):
        values.plot_file(text)


def test_a_real_prediction_end_to_end(capsys: Capture, tmp_path: Path, monkeypatch: Patch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("peft")
    monkeypatch.setenv("LORASCOPE_CACHE", str(tmp_path / "cache"))
    sizes = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 128,
        "max_position_embeddings": 64,
        "architectures": ["LlamaForCausalLM"],
    }
    config = tmp_path / "config.json"
    config.write_text(json.dumps(sizes))
    result = run(capsys, "plan", os.fspath(config), "--batch-size", "2", "--json")
    assert (result.code, result.err) == (0, "")
    memory = validated(result.out, "plan")["memory"]
    assert isinstance(memory, dict)
    assert memory["setup"]["seq_len"] == 64
    assert memory["base_bytes"] >= 2 * (2 * 128 * 64 + 2 * (64 * 64 * 3 + 3 * 64 * 128))
    assert memory["logits_bytes"] >= 2 * 64 * 128 * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--batch-size", "1000000000"],
            "batch_size (--batch-size) is 1000000000; expected a whole number from 1 to 1,000,000.",
        ),
        (
            ["--max-memory", "1GiB", "--trade", "rank,rank"],
            "trade (--trade) holds 'rank' twice; expected it once.",
        ),
    ],
)
def test_a_value_beyond_what_its_field_takes_is_refused_before_any_work(
    capsys: Capture, arguments: list[str], message: str
) -> None:
    result = run(capsys, "plan", "nowhere/at-all", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[0] == f"Error: {message}"
