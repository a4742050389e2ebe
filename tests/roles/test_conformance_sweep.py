"""The sweep measures what it says, and a missed floor is reported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).parents[2] / "conformance"
sys.path.insert(0, str(CONFORMANCE))

import summary as summary_module  # noqa: E402
from explained import EXPLAINED, Explanation, explanation  # noqa: E402
from guarded import guarded_by_peft  # noqa: E402
from model_types import Case, cases  # noqa: E402
from result import Dead, Difference, Pass, Result, Way  # noqa: E402
from summary import Summary  # noqa: E402
from sweep import missed_floors  # noqa: E402
from table import page  # noqa: E402

CASE = Case("llama", "causal LM", "LlamaForCausalLM", ("causal LM",))
DIFFERENCE = Difference("model.q", "attention.q", "attention.k")


def test_a_few_types_pass_as_a_whole_process(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    command = [sys.executable, CONFORMANCE / "sweep.py", "--types", "gpt2,mamba,t5", "--write", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    text = out.read_text("utf-8")
    assert "| gpt2 | causal LM | GPT2LMHeadModel |" in text
    assert "`backbone.layers.#.mixer.dt_proj` | linear | pass, source | yes |" in text
    assert "`backbone.layers.#.mixer.out_proj` | linear | source, on some ways |" in text
    assert "3 of 3 model types" in done.stdout
    assert "causal LM: 2 of 2 model types run (100.0 %)" in done.stdout
    assert "seq-to-seq: 1 of 1 model types run (100.0 %)" in done.stdout


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
            Result(CASE, adaptable=9, seen=Pass(failure="ValueError: no")),
            "the forward pass of 0.0 % of causal LM runs, not llama",
        ),
        (
            Result(CASE, adaptable=9, seen=Pass(differences=(DIFFERENCE,))),
            "llama: model.q is named attention.q but was seen as attention.k",
        ),
        (
            Result(
                Case("jamba", "causal LM", "JambaForCausalLM", ("causal LM",)),
                adaptable=9,
                seen=Pass(),
            ),
            "jamba: none of its dead targets was found",
        ),
    ],
)
def test_a_missed_floor_is_said(result: Result, missed: str) -> None:
    assert list(missed_floors(Summary((result,)), whole=False)) == [missed]


def test_a_lacking_image_counts_against_image_text_to_text_only() -> None:
    case = Case("g", "causal LM", "G", ("causal LM", "image-text-to-text"))
    summary = Summary((Result(case, adaptable=9, seen=Pass(lacking="no image")),))
    assert [(rate.kind, rate.share) for rate in summary.rates] == [
        ("causal LM", 1.0),
        ("seq-to-seq", 1.0),
        ("image-text-to-text", 0.0),
    ]
    assert "| g | G | image-text-to-text | no image |" in page(summary)


def test_every_name_that_peft_refuses_must_be_found() -> None:
    case = Case("mamba", "causal LM", "MambaForCausalLM", ("causal LM",))
    found = Dead("backbone.layers.#.mixer.conv1d", "convolution", (Way.SOURCE,), False)
    summary = Summary((Result(case, adaptable=9, dead=(found,), seen=Pass()),))
    assert guarded_by_peft()[1] == {"conv1d", "out_proj"}
    assert list(missed_floors(summary, whole=False)) == [
        "mamba: PEFT refuses out_proj, which was not found to be dead"
    ]
    assert "| convolution | source | no | PEFT refuses it |" in page(summary)


def test_nothing_is_missed_where_all_is_well() -> None:
    result = Result(CASE, adaptable=900, seen=Pass(compared=8, agreeing=8))
    summary = Summary((result,))
    assert list(missed_floors(summary, whole=False)) == []
    assert "| llama | causal LM | LlamaForCausalLM | 0 | 900 | 0 | agrees, 8 compared |" in page(
        summary
    )


def test_an_explanation_holds_for_what_it_names_only_and_goes_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitting = Explanation(("ll*",), "model.*", "attention.q", "attention.k", "so it is")
    for module in (sys.modules["explained"], summary_module):
        monkeypatch.setattr(module, "EXPLAINED", (fitting,))
    assert explanation("llama", DIFFERENCE) is fitting
    assert explanation("gpt2", DIFFERENCE) is None
    assert explanation("llama", Difference("model.q", "attention.q", "nothing")) is None
    explained = Summary((Result(CASE, seen=Pass(differences=(DIFFERENCE,))),))
    assert not explained.stale_explanations
    assert list(missed_floors(explained, whole=False)) == []
    assert "| llama | `model.q` | attention.q | attention.k | so it is |" in page(explained)
    assert Summary((Result(CASE, seen=Pass()),)).stale_explanations == (fitting,)


def test_each_explanation_says_why() -> None:
    assert all(explained.why and explained.model_types for explained in EXPLAINED)


def test_every_class_is_walked_once_and_a_type_s_first_is_its_first_auto_class() -> None:
    chosen = cases(sample=False)
    assert len({(case.model_type, case.cls) for case in chosen}) == len(chosen) > 1000
    firsts = {case.model_type: case for case in reversed(chosen)}
    assert firsts["llama"] == CASE
    assert firsts["vit"].auto_class == "image classification"
    both = next(case for case in chosen if case.cls == "Gemma3ForConditionalGeneration")
    assert both.observed_as == ("causal LM", "image-text-to-text")
