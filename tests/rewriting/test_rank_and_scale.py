"""One rank and one scale: every engine then computes what PEFT computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trained_adapters import (
    HALF,
    OLDER_VLLM,
    adapt,
    assert_same,
    config_of,
    engine_deltas,
    pairs_of,
    peft_deltas,
    tensors_of,
    train,
    write_tensors,
)

from lorascope.core.errors import AdapterError

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CONFIGS: dict[str, dict[str, Any]] = {
    "half strength": HALF,
    "small": {"r": 4, "lora_alpha": 8, "target_modules": ALL},
    "both patterns": {
        "r": 3,
        "lora_alpha": 7,
        "target_modules": ALL,
        "rank_pattern": {"o_proj": 5, r"layers\.2\..*gate_proj": 2},
        "alpha_pattern": {"v_proj": 11, "down_proj": 1.5},
    },
    "rslora": {
        "r": 8,
        "lora_alpha": 12,
        "use_rslora": True,
        "target_modules": ALL,
        "rank_pattern": {"v_proj": 3},
    },
    "regex in some layers": {
        "r": 6,
        "target_modules": r".*layers\.[12]\..*(q|v|up)_proj",
        "exclude_modules": r".*layers\.1\..*v_proj",
    },
}
ENGINES = ("vllm", OLDER_VLLM, "sglang", "llama.cpp", "tgi", "lorax")


@pytest.fixture(scope="module", params=CONFIGS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("llama", tmp_path_factory.mktemp("a") / "trained", **CONFIGS[request.param])


@pytest.fixture(scope="module")
def wanted(trained: Path) -> dict[str, torch.Tensor]:
    return dict(peft_deltas("llama", trained))


@pytest.mark.parametrize("engine", ENGINES)
def test_engine_computes_what_peft_does(
    engine: str, trained: Path, wanted: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    served, done = adapt(trained, engine.split()[0], "llama", force=True)
    assert_same(engine_deltas(engine, served), wanted)
    assert {a.shape[0] for a, _ in pairs_of(served).values()} == {done.rank}
    fields = config_of(served)
    assert (fields["rank_pattern"], fields["alpha_pattern"]) == ({}, {})
    assert fields["use_rslora"] is False
    assert (done.rounding == 0) is all(pair.exact for pair in done.pairs)
    assert done.rounding is not None
    assert done.rounding <= 2.0**-24


def test_peft_computes_the_same(trained: Path, wanted: dict[str, torch.Tensor]) -> None:
    served, _ = adapt(trained, "vllm", "llama", force=True)
    assert_same(peft_deltas("llama", served), wanted)


def test_powers_of_two_round_nothing(tmp_path: Path) -> None:
    trained = train("llama", tmp_path / "trained", **HALF)
    before = engine_deltas(OLDER_VLLM, trained)
    served, done = adapt(trained, "vllm", "llama")
    after, wanted = engine_deltas("vllm", served), peft_deltas("llama", trained)
    name = "model.layers.0.mlp.up_proj"
    assert torch.allclose(2 * before[name].float(), wanted[f"{name}.weight"])
    assert_same(peft_deltas("llama", served), wanted, bound=0)
    assert torch.equal(after[name], 2 * before[name])
    assert_same(engine_deltas("vllm", trained), wanted)
    assert (done.rank, done.alpha, done.rounding) == (8, 32, 0)
    assert [(change.step.value, change.text) for change in done.changes] == [
        ("padded", "12 pairs of rank 4 padded with zeros to rank 8."),
        ("scaled", "B of 8 pairs multiplied by 0.5, which rounds nothing."),
        ("configured", "Said without rank_pattern."),
    ]


def test_tgi_halves_a_rank_below_eight_and_no_longer_does(tmp_path: Path) -> None:
    trained = train("llama", tmp_path / "trained", **CONFIGS["small"])
    before, wanted = engine_deltas("tgi", trained), peft_deltas("llama", trained)
    name = "model.layers.0.mlp.up_proj"
    assert torch.allclose(2 * before[name].float(), wanted[f"{name}.weight"])
    served, done = adapt(trained, "tgi", "llama")
    assert_same(engine_deltas("tgi", served), wanted)
    assert done.rank == 8


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 2.0**-8), (torch.float16, 2.0**-11)])
def test_other_types_are_kept_and_rounded_once(
    dtype: torch.dtype, bound: float, tmp_path: Path
) -> None:
    config = {"r": 4, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]}
    trained = train("llama", tmp_path / "t", **config, alpha_pattern={"v_proj": 7})
    tensors = {name: tensor.to(dtype) for name, tensor in tensors_of(trained).items()}
    write_tensors(trained, tensors)
    served, done = adapt(trained, "vllm", "llama")
    assert {tensor.dtype for tensor in tensors_of(served).values()} == {dtype}
    assert done.rounding is not None
    assert 0 < done.rounding <= bound
    for name, (a, b) in pairs_of(trained).items():
        new_a, new_b = pairs_of(served)[name]
        assert torch.equal(new_a, a)
        scale = done.alpha / done.rank
        wanted = b * (7 / 4 if "v_proj" in name else 1) / scale
        assert ((new_b - wanted).abs() <= bound * wanted.abs()).all()


def test_numbers_that_would_overflow_are_refused(tmp_path: Path) -> None:
    config = {"r": 4, "target_modules": ["q_proj", "v_proj", "k_proj"]}
    trained = train("llama", tmp_path / "t", **config, alpha_pattern={"v_proj": 7e6})
    write_tensors(trained, {name: each.half() for name, each in tensors_of(trained).items()})
    with pytest.raises(AdapterError, match="become too large for float16"):
        adapt(trained, "vllm", "llama")
    assert not (tmp_path / "t-for-vllm").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_rank_that_is_asked_for(tmp_path: Path) -> None:
    trained = train("llama", tmp_path / "t", **HALF)
    served, done = adapt(trained, "vllm", "llama", rank=32)
    assert_same(engine_deltas("vllm", served), peft_deltas("llama", trained))
    assert done.notes == ("Start vLLM with --max-lora-rank 32.",)
    with pytest.raises(AdapterError, match="Rank 4 cannot hold this adapter, whose largest .* 8"):
        adapt(trained, "vllm", "llama", rank=4, force=True)
    with pytest.raises(AdapterError, match=r"needs rank 1000; vLLM .* serves at most 512"):
        adapt(trained, "vllm", "llama", rank=1000, force=True)


@pytest.mark.parametrize("engine", ["tgi", "lorax"])
@pytest.mark.parametrize(("asked", "written"), [(5, 8), (8, 8), (12, 16), (17, 32)])
def test_rank_that_the_engine_would_pad(
    asked: int, written: int, engine: str, tmp_path: Path
) -> None:
    trained = train("llama", tmp_path / "t", r=4, lora_alpha=8, target_modules=ALL)
    served, done = adapt(trained, engine, "llama", rank=asked)
    assert_same(engine_deltas(engine, served), peft_deltas("llama", trained))
    assert done.rank == config_of(served)["r"] == written
    told = [note for note in done.notes if note.startswith(f"Rank {written} and not {asked}")]
    assert bool(told) is (asked != written)


def test_rank_without_end(tmp_path: Path) -> None:
    trained = train("llama", tmp_path / "t", **HALF)
    with pytest.raises(AdapterError, match="Rank 1,000,000,000 is above 1,000,000"):
        adapt(trained, "peft", "llama", rank=10**9)


def test_powers_of_two_round_what_is_near_zero(tmp_path: Path) -> None:
    config = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    trained = train("llama", tmp_path / "t", **config, alpha_pattern={"v_proj": 1})
    tensors = {name: tensor.half() for name, tensor in tensors_of(trained).items()}
    name = next(name for name in tensors if "v_proj.lora_B" in name)
    tensors[name][0, 0] = 2.0**-24
    tensors[name][0, 1] = 9 * 2.0**-24
    write_tensors(trained, tensors)
    _, done = adapt(trained, "vllm", "llama")
    rounded = [pair.path for pair in done.pairs if not pair.exact]
    assert rounded == ["model.layers.0.self_attn.v_proj"]
    assert done.rounding == 1
    assert done.notes == ("1 number too small for the stored type became 0.",)
    assert "B of 1 pair multiplied by 0.125, which rounds their numbers." in [
        change.text for change in done.changes
    ]


def test_zeros_are_not_rounded(tmp_path: Path) -> None:
    config = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    trained = train("llama", tmp_path / "t", **config, alpha_pattern={"v_proj": 3})
    zeros = {n: t * 0 if "lora_B" in n else t for n, t in tensors_of(trained).items()}
    write_tensors(trained, zeros)
    _, done = adapt(trained, "vllm", "llama")
    assert (done.rounding, {pair.exact for pair in done.pairs}) == (0, {True})


def test_conv1d_and_embedding(tmp_path: Path) -> None:
    trained = train(
        "gpt2",
        tmp_path / "t",
        r=4,
        target_modules=["c_attn", "wte", "c_proj"],
        rank_pattern={"wte": 2, "c_proj": 3},
        fan_in_fan_out=True,
    )
    served, done = adapt(trained, "peft", "gpt2")
    assert_same(peft_deltas("gpt2", served), peft_deltas("gpt2", trained))
    assert {a.shape[0] for a, _ in pairs_of(served).values()} == {4}
    assert done.tensors == len(tensors_of(served))
