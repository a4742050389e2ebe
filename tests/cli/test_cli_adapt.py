"""`lorascope adapt` as a whole command."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import run
from jsonschema import Draft202012Validator

from lorascope.report.schemas import schema_text

sys.path.insert(0, str(Path(__file__).parent.parent / "rewriting"))
from trained_adapters import (
    HALF,
    assert_same,
    engine_deltas,
    peft_deltas,
    tiny_models,
    train,
    write_config,
)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The well-known mixed ranks, on a base model that lies beside the adapter."""
    base = tmp_path / "base"
    tiny_models.config("llama").save_pretrained(str(base))
    config = json.loads((base / "config.json").read_text())
    config["architectures"] = ["LlamaForCausalLM"]
    (base / "config.json").write_text(json.dumps(config))
    adapter = train("llama", tmp_path / "adapter", **HALF)
    write_config(adapter, base_model_name_or_path=str(base))
    return adapter


def _codes(capsys: pytest.CaptureFixture[str], adapter: Path) -> tuple[int, str]:
    result = run(capsys, "check", str(adapter), "--serve", "lorax")
    return result.code, " ".join(result.out.split())


def test_half_strength_before_and_right_after(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, before = _codes(capsys, trained)
    assert code == 1
    assert "x0.5 on 12 modules" in before
    served = tmp_path / "served"
    result = run(capsys, "adapt", str(trained), "--serve", "lorax", "-o", str(served))
    assert (result.code, result.err) == (0, "")
    assert "12 pairs of rank 4 padded with zeros to rank 8." in result.out
    assert "No number is rounded: every factor is a power of two." in result.out
    code, after = _codes(capsys, served)
    assert (code, "nothing found" in after) == (0, True)
    wanted = peft_deltas("llama", trained)
    assert_same(engine_deltas("lorax", served), wanted)
    with pytest.raises(AssertionError):
        assert_same(engine_deltas("lorax", trained), wanted)


def test_json_keeps_to_its_schema(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = tmp_path / "served"
    arguments = ("adapt", str(trained), "--serve", "vllm", "-o", str(served), "--json")
    value = json.loads(run(capsys, *arguments).out)
    Draft202012Validator(json.loads(schema_text("adapt"))).validate(value)
    assert value["rounding"] == 0
    assert value["adapter_config"] == json.loads((served / "adapter_config.json").read_text())
    assert {pair["scale"] for pair in value["pairs"]} == {4.0}


def test_what_would_be_done(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "adapt", str(trained), "--serve", "tgi", "--width", "60")
    assert result.code == 0
    assert "To be done (-o DIR does it)" in result.out
    lines = result.out.splitlines()
    assert all(len(each) <= 60 or str(trained.parent) in each for each in lines)


def test_other_files_are_told(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained / "tokenizer.json").write_text("{}")
    (trained / "README.md").write_text("# Mine")
    served = tmp_path / "served"
    result = run(capsys, "adapt", str(trained), "--serve", "vllm", "-o", str(served))
    assert "Not copied from beside it: README.md, tokenizer.json." in result.out
    assert result.out.startswith(f"{trained} for vLLM (")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--serve", "vllmm"], "Error: No serving engine is called 'vllmm'"),
        (["--serve", "vllm@9"], "Error: vLLM '9' is not known"),
        (["--serve", "vllm", "--force"], "--force needs -o DIR."),
        (["--serve", "vllm", "--drop", "dora"], "nothing of dora that could be dropped"),
        (["--serve", "vllm", "--split", "=x"], "names no fused projection and its parts"),
        (["--serve", "vllm", "--rank", "2"], "Rank 2 cannot hold this adapter"),
        (["--serve", "vllm,sglang"], "for one engine at a time, not for vllm,sglang. Run it once"),
        (["--serve", "peft", "--rank", "1000000000"], "is above 1,000,000, the largest"),
        (["--serve", "peft", "-o", ""], "--output is empty; expected a directory."),
        (["--serve", "peft", "-o", "."], "Error: . exists; nothing was written."),
        (["--serve", "peft", "-o", "/"], "Error: / exists; nothing was written."),
        (["--serve", "peft", "-o", "a\0b"], "is no name of a directory."),
        ([], "the following arguments are required: --serve"),
    ],
)
def test_errors_are_one_message(
    arguments: list[str], message: str, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(capsys, "adapt", str(trained), *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in " ".join(result.err.split())
    assert "unexpectedly" not in result.err
    assert "Traceback" not in result.err


def test_base_model_that_is_not_named(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_config(trained, base_model_name_or_path=None)
    result = run(capsys, "adapt", str(trained), "--serve", "vllm")
    assert result.code == 2
    assert f"Name it: lorascope adapt {trained} MODEL --serve vllm" in result.err


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="no signals here")
def test_a_request_to_end_leaves_nothing(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    def ended(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("lorascope.rewriting.written_files._put", ended)
    served = tmp_path / "n1" / "n2" / "served"
    result = run(capsys, "adapt", str(trained), "--serve", "vllm", "-o", str(served))
    assert (result.code, result.err) == (130, "Interrupted.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def _truncated(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])


def _rank_zero(adapter: Path) -> None:
    write_config(adapter, r=0, rank_pattern={})


def _broken_json(adapter: Path) -> None:
    (adapter / "adapter_config.json").write_text("{")


@pytest.mark.parametrize("damage", [_truncated, _rank_zero, _broken_json])
def test_damaged_adapters(
    damage: Any, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(trained)
    served = tmp_path / "served"
    result = run(capsys, "adapt", str(trained), "--serve", "vllm", "-o", str(served))
    assert result.code == 2
    assert result.err.startswith("Error: ")
    assert "Traceback" not in result.err
    assert not served.exists()


def test_directory_that_exists(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("adapt", str(trained), "--serve", "vllm", "-o", str(tmp_path / "served"))
    assert run(capsys, *arguments).code == 0
    again = run(capsys, *arguments)
    assert (again.code, "exists; nothing was written" in again.err) == (2, True)
    assert run(capsys, *arguments, "--force").code == 0
