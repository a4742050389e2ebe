"""The text that `lorascope plan` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt

from lorascope.core.inventory import Inventory
from lorascope.core.numbers import exact, percent, plain, size
from lorascope.core.plan import Advice, Finding, Plan, Target
from lorascope.report.adapter_config_text import adapter_config_text
from lorascope.report.coverage import uncovered_text
from lorascope.report.fold import fold
from lorascope.report.layout import Column, Heading, Row, bullet, fields, heading, table
from lorascope.report.lines import Line, line
from lorascope.report.model_header import model_header

_COLUMNS = (
    Column("role", style="cyan", label=False),
    Column("modules"),
    Column("count", right=True),
    Column("r", right=True),
    Column("alpha", right=True),
    Column("scale", right=True),
    Column("parameters", right=True),
)
_NAME = 1
_GROUNDS: Mapping[str, str] = {
    "paper": "a paper's own words",
    "measured": "measured",
    "second-hand": "second-hand",
    "weak": "weak ground",
    "none": "no evidence",
}
_SEVERITY_STYLES: Mapping[str, str] = {"error": "bold red", "warning": "yellow", "info": ""}


def plan_text(plan: Plan, inventory: Inventory, width: int) -> list[Line]:
    """Lay out a plan: targets, sums, the configuration's lines, advice with grounds, findings."""
    return [
        *model_header(plan.model, width),
        line(""),
        heading(f"Plan: {plan.preset}"),
        *table(_COLUMNS, _target_rows(plan), width, name_column=_NAME),
        line(""),
        *fields(_sums(plan, inventory), width),
        line(""),
        heading("adapter_config.json"),
        *adapter_config_text(plan.adapter_config, width),
        *advice_text(plan.advice, width),
        *findings_text(plan.findings, width),
    ]


def scale(rank: int, alpha: float, *, rslora: bool) -> str:
    """Write the factor of an adapter's output: alpha/r, or alpha/√r with rsLoRA."""
    return f"{alpha / (sqrt(rank) if rslora else rank):.4g}"


def advice_text(advice: Iterable[Advice], width: int) -> list[Line]:
    """Lay out why a plan is as it is, each reason with the strength of its ground and source."""
    lines: list[Line] = []
    for each in advice:
        ground = None if each.ground is None else _GROUNDS.get(each.ground, each.ground)
        grounds = "; ".join(part for part in (ground, each.source) if part)
        lines += bullet(f"{each.text} [{grounds}]" if grounds else each.text, width)
    return [line(""), heading("Why"), *lines] if lines else []


def findings_text(findings: Iterable[Finding], width: int) -> list[Line]:
    """Lay out findings: what was asked, what happens, what to write instead."""
    lines: list[Line] = []
    for each in findings:
        where = f"{each.entry}: " if each.entry else ""
        text = f"{each.severity} {each.code}: {where}{each.message} {each.hint}".rstrip()
        lines += bullet(text, width, _SEVERITY_STYLES.get(each.severity, ""))
    return [line(""), heading("Findings"), *lines] if lines else []


def _target_rows(plan: Plan) -> list[Row | Heading]:
    rslora = bool(plan.adapter_config.get("use_rslora"))
    alike: dict[tuple[object, ...], list[Target]] = {}
    for target in plan.targets:
        key = (target.tower, target.role, target.rank, target.alpha, target.params)
        alike.setdefault(key, []).append(target)
    rows: list[Row | Heading] = []
    for same in alike.values():
        first = same[0]
        for pattern in fold(target.path for target in same):
            cells = (
                str(first.role),
                pattern.text,
                exact(pattern.count),
                str(first.rank),
                plain(first.alpha),
                scale(first.rank, first.alpha, rslora=rslora),
                exact(first.params * pattern.count),
            )
            rows.append(Row(cells))
    params = sum(target.params for target in plan.targets)
    total = ("", "total", exact(len(plan.targets)), "", "", "", exact(params))
    return [*rows, Row(total, "bold")]


def _sums(plan: Plan, inventory: Inventory) -> list[tuple[str, str]]:
    total = plan.model.total_params
    targets = sum(target.params for target in plan.targets)
    beside = plan.trainable_params - targets
    trainable = (
        f"{exact(plan.trainable_params)} parameters,"
        f" {percent(plan.trainable_params, total)} of the model's {exact(total)}"
    )
    if beside:
        trainable += f"; {exact(beside)} of them in biases and modules trained whole"
    return [
        ("trainable", trainable),
        ("adapted", f"{percent(plan.covered_params, total)} of the model's weights"),
        ("not adapted", uncovered_text(inventory, {target.path for target in plan.targets})),
        ("trained whole", ", ".join(plan.saved_modules)),
        ("adapter file", f"{size(plan.adapter_bytes)} ({exact(plan.adapter_bytes)} bytes)"),
    ]
