"""`docs/presets.md` says what the data says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lorascope.core.plan import Advice
from lorascope.planning import evidence
from lorascope.planning.presets import PRESETS

DOCS = Path(__file__).parents[2] / "docs" / "presets.md"


def evidence_rows() -> Iterator[str]:
    """The evidence table, one line a claim; a claim that serves several is written once."""
    by_advice: dict[Advice, list[str]] = {}
    for name, task in evidence.TASKS.items():
        for advice in task.advice:
            by_advice.setdefault(advice, []).append(f"`--task {name}`")
    for name, known in evidence.PRESET_ADVICE.items():
        for advice in known:
            by_advice.setdefault(advice, []).append(f"`--preset {name}`")
    for label, advice in (
        ("routed experts", evidence.EXPERTS_ADVICE),
        ("state-space layers", evidence.STATE_SPACE_ADVICE),
        ("hybrids", evidence.HYBRID_ADVICE),
        ("vision-language", evidence.VISION_ADVICE),
        ("encoder-decoder", evidence.RACE_ADVICE),
        ("`target_parameters`", evidence.SERVING_ADVICE),
    ):
        by_advice.setdefault(advice, []).append(label)
    yield "| about | what is known | ground | source |"
    yield "| --- | --- | --- | --- |"
    for advice, about in by_advice.items():
        yield f"| {', '.join(about)} | {advice.text} | {advice.ground} | {advice.source or '–'} |"


def test_the_evidence_table_is_that_of_the_data() -> None:
    table = "\n".join(evidence_rows())
    assert table in DOCS.read_text(encoding="utf-8")


def test_every_preset_has_its_row() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for preset in PRESETS.values():
        assert f"| `{preset.name}` | {preset.summary} |" in text


def test_every_task_has_its_row() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, task in evidence.TASKS.items():
        assert f"| `{name}` | `{task.preset}` | {task.rank} |" in text
