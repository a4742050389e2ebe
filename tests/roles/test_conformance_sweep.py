"""The sweep measures what it says, and a missed floor is reported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).parents[2] / "conformance"
sys.path.insert(0, str(CONFORMANCE))

from measure import Difference, Result  # noqa: E402
from model_types import Case, cases  # noqa: E402
from sweep import _missed_floors  # noqa: E402
from table import Summary, page  # noqa: E402

CASE = Case("llama", "causal LM", "LlamaForCausalLM")


def test_a_few_types_pass_as_a_whole_process(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    command = [sys.executable, CONFORMANCE / "sweep.py", "--types", "gpt2,mamba,t5", "--write", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    text = out.read_text("utf-8")
    assert "| gpt2 | causal LM | GPT2LMHeadModel |" in text
    assert "| mamba | `backbone.layers.#.mixer.dt_proj` | yes |" in text
    assert "3 of 3 model types" in done.stdout


@pytest.mark.parametrize(
    ("result", "missed"),
    [
        (
            Result(CASE, adaptable=100, unknown={"model.zig": 3}),
            "3 of 100 adaptable modules have no role",
        ),
        (
            Result(CASE, adaptable=900, unknown={"model.layers.#.zig": 1}, unknown_in_blocks=1),
            "1 modules in causal-LM blocks have no role",
        ),
        (Result(CASE, failure="ValueError: no"), "1 model types were not built"),
        (
            Result(CASE, adaptable=9, ambiguous=frozenset({"model.zag"})),
            "LlamaForCausalLM: two rows of the role tables disagree on model.zag",
        ),
        (
            Result(
                CASE,
                adaptable=9,
                attentions=1,
                differences=(Difference("model.q", "attention.q", "attention.k"),),
            ),
            "llama: model.q is named attention.q but was seen as attention.k",
        ),
    ],
)
def test_a_missed_floor_is_said(result: Result, missed: str) -> None:
    assert list(_missed_floors(Summary((result,)), whole=False)) == [missed]


def test_nothing_is_missed_where_all_is_well() -> None:
    result = Result(CASE, adaptable=900, attentions=2, compared=8)
    assert list(_missed_floors(Summary((result,)), whole=False)) == []
    assert "| llama | causal LM | LlamaForCausalLM | 0 | 900 | 0 | agrees, 8 compared |" in page(
        Summary((result,)), {}
    )


def test_every_class_is_walked_once_and_a_type_s_first_is_its_first_auto_class() -> None:
    chosen = cases(sample=False)
    assert len({(case.model_type, case.cls) for case in chosen}) == len(chosen) > 1000
    firsts = {case.model_type: case for case in reversed(chosen)}
    assert firsts["llama"] == CASE
    assert firsts["vit"].auto_class == "image classification"
