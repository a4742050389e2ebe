"""The page of one rule, for a terminal and as Markdown, and the list of all rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from lorascope.checking import Example, Rule
from lorascope.core.recipe import Tool
from lorascope.report.layout import Column, Row, heading, paragraph, table
from lorascope.report.lines import Line, line

_COLUMNS = (Column("code", style="bold"), Column("severity"), Column("name"), Column("summary"))


def rules_text(rules: Iterable[Rule], width: int) -> list[Line]:
    """Lay out all rules, one a row."""
    rows = [Row((rule.code, str(rule.severity), rule.name, rule.summary)) for rule in rules]
    return table(_COLUMNS, rows, width, name_column=2)


def rule_text(rule: Rule, width: int) -> list[Line]:
    """Lay out the page of one rule."""
    width = min(width, 100)
    return [
        heading(f"{rule.code} {rule.name} ({rule.severity})"),
        line(""),
        *paragraph(rule.summary, width),
        line(""),
        heading("Why this is bad"),
        *paragraph(rule.why, width),
        line(""),
        heading("Example"),
        *_example_lines(rule.bad),
        line(""),
        heading("Use instead"),
        *paragraph(rule.instead, width),
        *_example_lines(rule.good),
        line(""),
        heading("Reported in"),
        *(line(f"  {report}") for report in rule.reports),
    ]


def rule_markdown(rule: Rule) -> str:
    """Return the page of one rule in `docs/rules/`."""
    reports = "\n".join(f"- {_link(report)}" for report in rule.reports)
    return f"""\
# {rule.code} {rule.name}

Severity: {rule.severity}

## What it does
{rule.summary}

## Why this is bad
{rule.why}

## Example
{_fenced(rule.bad)}

## Use instead
{rule.instead}

{_fenced(rule.good)}

## Reported in
{reports}
"""


def example_text(example: Example) -> str:
    """Return an example's configuration as its file would hold it."""
    if isinstance(example.config, str):
        return example.config.rstrip("\n")
    return json.dumps(example.config, indent=2)


def _example_lines(example: Example) -> list[Line]:
    lines = [line(_about(example), "dim", indent=2)]
    lines += [line(each, indent=4) for each in example_text(example).splitlines()]
    tensors = [line(each, indent=4) for each in _tensors(example).splitlines()]
    return [*lines, line("its stored tensors", "dim", indent=2), *tensors] if tensors else lines


def _about(example: Example) -> str:
    tool = "PEFT" if example.tool is Tool.PEFT else str(example.tool)
    serve = f", served by {', '.join(example.engines)}" if example.engines else ""
    task = f", task type {example.task_type}" if example.task_type else ""
    return f"{tool} on {example.model}{task}{serve}"


def _fenced(example: Example) -> str:
    """Return an example as a fenced block under a line that says on what it is."""
    shown = f"{_about(example)}:\n\n```{_form(example)}\n{example_text(example)}\n```"
    tensors = _tensors(example)
    return f"{shown}\n\nIts stored tensors:\n\n```\n{tensors}\n```" if tensors else shown


def _form(example: Example) -> str:
    """Return the language of an example's text."""
    text = example_text(example)
    if text.lstrip().startswith("{"):
        return "json"
    return "console" if re.search(r"^[^#:]* --\w", text, re.MULTILINE) else "yaml"


def _tensors(example: Example) -> str:
    """Return the stored tensors of a trained adapter, one a line."""
    tensors = example.tensors or {}
    return "\n".join(f"{name}  {' × '.join(map(str, shape))}" for name, shape in tensors.items())


def _link(report: str) -> str:
    owner, mark, number = report.partition("#")
    if mark and "/" in owner and number.isdigit():
        return f"[{report}](https://github.com/{owner}/issues/{number})"
    return f"<{report}>" if report.startswith("https://") else report
