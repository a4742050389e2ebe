"""The text that `lorascope plan` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt

from lorascope.core.finding import Finding
from lorascope.core.fit import Fit
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import exact, percent, size
from lorascope.core.plan import Advice, Plan, Target
from lorascope.report.adapter_config_text import adapter_config_text
from lorascope.report.coverage import trainable_text, uncovered_text
from lorascope.report.fit_text import fit_text
from lorascope.report.layout import bullet, fields, heading
from lorascope.report.lines import Line, line
from lorascope.report.memory_text import memory_text
from lorascope.report.model_header import model_header
from lorascope.report.targets_table import Traits, targets_table

_GROUNDS: Mapping[str, str] = {
    "paper": "a paper's own words",
    "measured": "measured",
    "second-hand": "second-hand",
    "unverified": "unverified",
    "weak": "weak ground",
    "none": "no evidence",
}
_SEVERITY_STYLES: Mapping[str, str] = {"error": "bold red", "warning": "yellow", "info": ""}


def plan_text(
    plan: Plan,
    inventory: Inventory,
    width: int,
    fit: Fit | None = None,
    max_memory: int | None = None,
) -> list[Line]:
    """Lay out a plan: targets, sums, the configuration's lines, advice with grounds, findings.

    Args:
        plan: The plan; its memory is laid out if it was predicted.
        inventory: The model.
        width: Characters a line.
        fit: How the plan came to fit `max_memory`.
        max_memory: The budget in bytes; None for none.
    """
    rslora = bool(plan.adapter_config.get("use_rslora"))
    targets = [(target.path, _traits(target, rslora=rslora)) for target in plan.targets]
    return [
        *model_header(inventory, width),
        line(""),
        heading(f"Plan: {plan.preset}"),
        *targets_table(targets, width),
        line(""),
        *fields(_sums(plan, inventory), width),
        line(""),
        heading("adapter_config.json"),
        *adapter_config_text(plan.adapter_config, width),
        *(fit_text(fit, max_memory, width) if fit is not None else ()),
        *(memory_text(plan.memory, width) if plan.memory is not None else ()),
        *advice_text(plan.advice, width),
        *findings_text(plan.findings, width),
    ]


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
        severity = "" if each.severity == "info" else f"{each.severity}: "
        text = f"{severity}{where}{each.message} {each.hint}".rstrip()
        lines += bullet(text, width, _SEVERITY_STYLES.get(each.severity, ""))
    return [line(""), heading("Findings"), *lines] if lines else []


def _traits(target: Target, *, rslora: bool) -> Traits:
    return Traits(
        role=str(target.role),
        rank=target.rank,
        alpha=target.alpha,
        scale=target.alpha / (sqrt(target.rank) if rslora else target.rank),
        params=target.params,
        apart=str(target.tower),
    )


def _sums(plan: Plan, inventory: Inventory) -> list[tuple[str, str]]:
    total = plan.model.total_params
    targets = sum(target.params for target in plan.targets)
    beside = plan.trainable_params - targets
    trainable = trainable_text(plan.trainable_params, total)
    if beside:
        trainable += f"; {exact(beside)} of them in biases and modules trained whole"
    return [
        ("trainable", trainable),
        ("adapted", f"{percent(plan.covered_params, total)} of the model's weights"),
        ("not adapted", uncovered_text(inventory, {target.path for target in plan.targets})),
        ("trained whole", ", ".join(plan.saved_modules)),
        ("adapter file", f"{size(plan.adapter_bytes)} ({exact(plan.adapter_bytes)} bytes)"),
    ]
