"""What a plan's memory prediction says, as text."""

from __future__ import annotations

from lorascope.core.memory import Memory, MemoryParts
from lorascope.core.numbers import counted, exact, percent
from lorascope.core.training import TrainingSetup
from lorascope.report.byte_units import byte_text, in_unit, unit_for
from lorascope.report.layout import Column, Row, bullet, fields, heading, table
from lorascope.report.lines import Line, line


def memory_text(memory: Memory, width: int) -> list[Line]:
    """Lay out a prediction: the parts of the peak, where it falls, what is kept, facts, notes."""
    lines = [
        line(""),
        heading("Memory of one training step"),
        *fields([("step", _step_text(memory))], width),
        line(""),
        *_parts_table(memory, width),
        line(""),
        *fields(_about(memory), width),
    ]
    for title, texts in (
        ("What each choice costs", [fact.text for fact in memory.facts]),
        ("About the memory", memory.notes),
    ):
        if texts:
            lines += [line(""), heading(title)]
        for text in texts:
            lines += bullet(text, width)
    return lines


def _step_text(memory: Memory) -> str:
    attention = "" if memory.attention is None else f", {memory.attention} attention"
    return f"{setup_text(memory.setup)}{attention}"


def setup_text(setup: TrainingSetup) -> str:
    """Say in one line how the training step is run."""
    quantized = setup.quantization != "none"
    sharding = f" with {setup.sharding}" if setup.sharding != "none" else ""
    parts = [
        f"{exact(setup.batch_size)} × {exact(setup.seq_len)} tokens",
        f"accumulated {exact(setup.accumulation)} times" if setup.accumulation > 1 else "",
        f"{setup.quantization} base (the rest {_rest(setup)})"
        if quantized
        else f"{setup.dtype} base",
        f"{setup.adapter_dtype} adapter",
        "autocast" if setup.autocast else "",
        setup.optimizer,
        "gradient checkpointing" if setup.gradient_checkpointing else "",
        f"{exact(setup.devices)} devices{sharding}" if setup.devices > 1 else "",
        f"on {setup.device}",
    ]
    return ", ".join(part for part in parts if part)


def _rest(setup: TrainingSetup) -> str:
    return "fp32" if setup.kbit_upcast else setup.dtype


def _parts_table(memory: Memory, width: int) -> list[Line]:
    peak = memory.peak_bytes
    unit = unit_for(peak)
    columns = (
        Column("part", label=False),
        Column(unit.name, right=True, style="cyan"),
        Column("bytes", right=True, style="dim"),
        Column("share", right=True),
    )
    rows = [
        Row((name, in_unit(count, unit), exact(count), percent(count, peak)))
        for name, count in named_parts(memory.parts)
    ]
    rows.append(Row(("peak", in_unit(peak, unit), exact(peak), percent(peak, peak)), "bold"))
    return table(columns, rows, width)


def named_parts(parts: MemoryParts) -> tuple[tuple[str, int], ...]:
    """Return what the bytes are for, in words, with how many there are. They add up to all."""
    return (
        ("base weights", parts.base),
        ("adapter", parts.adapter),
        ("gradients", parts.gradient),
        ("optimizer state", parts.optimizer),
        ("activations kept", parts.activation),
        ("logits and loss", parts.logits),
        ("temporary", parts.temporary),
    )


def _about(memory: Memory) -> list[tuple[str, str]]:
    kept = (
        f"{byte_text(memory.kept_bytes)} by the forward pass for the backward pass,"
        f" {byte_text(memory.kept_bytes_per_token)} a token; logits and loss apart"
    )
    overhead = (
        f"{byte_text(memory.overhead_bytes)} more, in no sum above: an estimate of what the run"
        " cannot know"
    )
    return [
        ("peak at", memory.peak_at),
        ("kept", kept),
        ("overhead", overhead if memory.overhead_bytes else ""),
        ("run", _run_text(memory)),
    ]


def _run_text(memory: Memory) -> str:
    run, total = memory.layers_run, memory.layers_total
    if run >= total:
        return f"all of {counted(total, 'block')}" if total else ""
    return f"{exact(run)} of {counted(total, 'block')}; the others are alike and were added up"
