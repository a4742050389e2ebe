import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memories import PARTS, memory_of
from plans import plan_of

import builders
from lorascope.core.memory import Memory, MemoryParts
from lorascope.core.training import TrainingSetup
from lorascope.report.byte_units import byte_text, in_unit, unit_for
from lorascope.report.compare_text import compare_text
from lorascope.report.layout import UNLIMITED
from lorascope.report.memory_text import memory_text, setup_text
from lorascope.report.plan_text import plan_text

LLAMA = builders.llama()
QV = {"attention.q": 8, "attention.v": 8}


def text_of(memory: Memory, width: int = UNLIMITED) -> str:
    return "\n".join(line.plain for line in memory_text(memory, width))


def rows_of(text: str) -> list[list[str]]:
    """The table of parts: name, size, bytes, share."""
    lines = text[text.index("part ") : text.index("\n\n", text.index("part "))].splitlines()[1:]
    return [re.split(r"\s{2,}", line) for line in lines]


parts = st.builds(
    MemoryParts, *(st.integers(0, 2 * 10**12) for _ in MemoryParts.__dataclass_fields__)
)


@given(parts)
def test_printed_parts_add_up_to_the_printed_peak(parts: MemoryParts) -> None:
    *rows, peak = rows_of(text_of(memory_of(parts=parts)))
    printed = [int(row[2].replace(",", "")) for row in rows]
    assert len(rows) == 7
    assert peak[0] == "peak"
    assert sum(printed) == int(peak[2].replace(",", "")) == parts.total


@given(parts)
def test_rounded_parts_are_within_their_rounding_of_the_peak(parts: MemoryParts) -> None:
    *rows, peak = rows_of(text_of(memory_of(parts=parts)))
    sizes = [float(row[1].replace(",", "").replace("<", "")) for row in (*rows, peak)]
    assert abs(sum(sizes[:-1]) - sizes[-1]) <= 0.01 * len(rows)


def test_all_that_is_known_of_the_peak_is_told() -> None:
    text = text_of(memory_of())
    assert rows_of(text)[0] == ["base weights", "14.96", "16,060,522,496", "52.5%"]
    assert rows_of(text)[-1] == ["peak", "28.51", "30,617,394,752", "100.0%"]
    assert "  peak at   loss\n" in text
    assert "11.50 GiB by the forward pass for the backward pass, 5.75 MiB a token" in text
    assert "858.31 MiB more, in no sum above" in text
    assert "2 of 32 blocks; the others are alike" in text
    assert "- Overhead is the CUDA context and what the allocator rounds up." in text


def test_a_peak_without_overhead_or_extension_says_no_more_than_that() -> None:
    text = text_of(memory_of(overhead_bytes=0, layers_run=32, facts=(), notes=()))
    assert "overhead" not in text
    assert "all of 32 blocks" in text
    assert "each choice" not in text
    assert "About the memory" not in text


def test_facts_are_sentences() -> None:
    text = text_of(memory_of())
    assert text.partition("What each choice costs\n")[2].splitlines()[:2] == [
        "  - q costs nothing beside v.",
        "  - Dropout keeps copies.",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_memory_keeps_to_the_width(width: int) -> None:
    plan = plan_of(LLAMA, QV, memory=memory_of())
    lines = [*memory_text(memory_of(), width), *compare_text([plan, plan], LLAMA, width)]
    assert max(line.width for line in lines) <= width


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_plan_shows_its_memory_once(width: int) -> None:
    plan = plan_of(LLAMA, QV, memory=memory_of())
    text = "\n".join(line.plain for line in plan_text(plan, LLAMA, width))
    assert text.count("Memory of one training step") == 1
    without = plan_text(replace(plan, memory=None), LLAMA, width)
    assert "Memory" not in "\n".join(line.plain for line in without)


@pytest.mark.parametrize(
    ("setup", "text"),
    [
        (TrainingSetup(), "1 × 2,048 tokens, bf16 base, fp32 adapter, adamw, on cuda"),
        (
            TrainingSetup(
                batch_size=4,
                seq_len=512,
                quantization="nf4",
                gradient_checkpointing=True,
                optimizer="paged-adamw-8bit",
                devices=8,
                sharding="fsdp",
            ),
            "4 × 512 tokens, nf4 base (the rest bf16), fp32 adapter, paged-adamw-8bit,"
            " gradient checkpointing, 8 devices with fsdp, on cuda",
        ),
        (
            TrainingSetup(devices=2, device="cpu"),
            "1 × 2,048 tokens, bf16 base, fp32 adapter, adamw, 2 devices, on cpu",
        ),
    ],
)
def test_how_the_step_is_run_is_one_line(setup: TrainingSetup, text: str) -> None:
    assert setup_text(setup) == text


class TestCompare:
    def text(self, *memories: Memory | None, width: int = UNLIMITED) -> str:
        plans = [
            plan_of(LLAMA, QV, preset=f"p{i}", memory=memory, findings=())
            for i, memory in enumerate(memories)
        ]
        return "\n".join(line.plain for line in compare_text(plans, LLAMA, width))

    def test_peak_and_kept_bytes_are_columns(self) -> None:
        text = self.text(memory_of(), memory_of(kept_bytes=2048 * 1024))
        assert "peak memory  kept a token" in text
        assert re.search(r"\np0 .* 28\.51 GiB +5\.75 MiB", text)
        assert re.search(r"\np1 .* 28\.51 GiB +1\.00 KiB", text)
        assert "one training step of 1 × 2,048 tokens" in text

    def test_without_a_prediction_there_is_nothing_of_memory(self) -> None:
        text = self.text(None, None)
        assert "memory" not in text
        assert "│" not in text

    def test_a_row_without_a_prediction_stays_empty(self) -> None:
        text = self.text(memory_of(), None)
        assert re.search(r"\np1 .* 13\.0 MiB +attention", text)

    def test_a_range_of_overheads(self) -> None:
        low = memory_of(overhead_bytes=2**30)
        assert "1.00 GiB more: an estimate" in self.text(low, low)
        text = self.text(low, memory_of(overhead_bytes=2**31))
        assert "1.00 GiB to 2.00 GiB more" in text
        assert "overhead" not in self.text(memory_of(overhead_bytes=0))

    def test_another_dropout_is_named_where_memory_is_compared(self) -> None:
        one = plan_of(LLAMA, QV, memory=memory_of())
        config = {**one.adapter_config, "lora_dropout": 0.0}
        other = replace(one, preset="other", adapter_config=config)
        lines = [line.plain for line in compare_text([one, one, other], LLAMA, UNLIMITED)]
        assert "  dropout   0.05; 0 for other" in lines


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.00 KiB"),
        (1024**2, "1.00 MiB"),
        (30_617_394_752, "28.51 GiB"),
        (5 * 1024**4, "5,120.00 GiB"),
    ],
)
def test_bytes_have_two_decimals(count: int, text: str) -> None:
    assert byte_text(count) == text


def test_what_is_not_zero_is_never_written_as_zero() -> None:
    unit = unit_for(2**30)
    assert in_unit(0, unit) == "0.00"
    assert in_unit(1, unit) == "<0.01"
    assert in_unit(PARTS.base, unit) == "14.96"
