import re
from dataclasses import replace

import pytest
from memories import memory_of
from plans import plan_of

import builders
from lorascope.core.fit import Step, Tried
from lorascope.core.plan import Advice
from lorascope.planning.fitted import Fitted, needed_bytes
from lorascope.planning.request import PlanRequest
from lorascope.report.fit_text import fit_text
from lorascope.report.layout import UNLIMITED
from lorascope.report.plan_text import plan_text

LLAMA = builders.llama()
MEMORY = memory_of()
PLAN = plan_of(LLAMA, {"attention.q": 8}, memory=MEMORY)
STEPS = (
    Step("checkpointing", "off", "on", 40 * 1024**3, Advice("Comes first.", "paper", "Chen")),
    Step("roles", "k", "", None, Advice("k is cheap to drop.", "paper", "LoRA")),
)
FITTED = Fitted(
    PLAN,
    MEMORY.setup,
    2,
    STEPS,
    (Tried((), 1, False), Tried(("x",), 1, True)),
    request=PlanRequest(),
)
BUDGET = 32 * 1024**3


def text_of(fitted: Fitted, max_memory: int | None = BUDGET, width: int = UNLIMITED) -> str:
    return "\n".join(line.plain for line in fit_text(fitted, max_memory, width))


def test_what_is_needed_and_left_is_told_with_the_overhead() -> None:
    assert needed_bytes(MEMORY) == MEMORY.peak_bytes + MEMORY.overhead_bytes
    assert "29.35 GiB of 32.00 GiB, peak and overhead together; 2.65 GiB left" in text_of(FITTED)


def test_each_thing_given_up_is_a_row() -> None:
    lines = text_of(FITTED).splitlines()
    assert re.split(r"\s{2,}", lines[-2]) == ["checkpointing", "off", "on", "40.00 GiB"]
    assert re.split(r"\s{2,}", lines[-1]) == ["roles", "k", "–"]


def test_accumulation_and_tries_are_told() -> None:
    text = text_of(FITTED)
    assert "2 batches for one optimizer step" in text
    assert re.search(r"tried +2 plans", text)
    assert "accumulate" not in text_of(replace(FITTED, accumulation=1))


def test_where_nothing_was_given_up_it_says_so() -> None:
    text = text_of(replace(FITTED, steps=()))
    assert "Nothing had to be given up." in text
    assert "given up  " not in text


def test_without_a_budget_nothing_is_said() -> None:
    assert text_of(FITTED, None) == ""
    without = replace(FITTED, plan=replace(PLAN, memory=None))
    assert text_of(without) == ""


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_a_fitted_plan_keeps_to_the_width(width: int) -> None:
    plan = replace(PLAN, adapter_config={})
    lines = plan_text(plan, LLAMA, width, replace(FITTED, plan=plan), BUDGET)
    fit = [line.plain for line in lines]
    assert "Made to fit" in fit
    assert max(line.width for line in fit_text(FITTED, BUDGET, width)) <= width
