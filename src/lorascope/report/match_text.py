"""The text that `lorascope match` prints."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted, exact
from lorascope.matching.result import EntryMatch, Match, MatchedTarget
from lorascope.report.adapter_config_text import adapter_config_text
from lorascope.report.coverage import trainable_text, uncovered_text
from lorascope.report.fold import fold
from lorascope.report.json_match import spec_json
from lorascope.report.layout import bullet, fields, heading, paragraph
from lorascope.report.lines import Line, line
from lorascope.report.model_header import model_header
from lorascope.report.targets_table import Traits, targets_table

_MOST_PATTERNS = 4
"""Patterns shown for one entry before the rest is only counted."""
_NOTHING_ASKED = "No targets; PEFT takes its default for the model type."


def match_text(match: Match, inventory: Inventory, width: int) -> list[Line]:
    """Lay out what a configuration hits: entry by entry, then what is adapted or refused."""
    lines = [
        *model_header(inventory, width),
        line(""),
        heading("Asked"),
    ]
    if not match.entries:
        lines += bullet(_NOTHING_ASKED, width)
    for entry in match.entries:
        lines += _entry_text(entry, width)
    if match.refused is not None:
        refusal = f"PEFT would refuse this: {match.refused}"
        return [*lines, line(""), *paragraph(refusal, width, style="bold red")]
    targets = [(target.path, _traits(target, inventory)) for target in match.targets]
    lines += [
        line(""),
        heading(f"Adapted, as PEFT {match.peft_version} does it"),
        *targets_table(targets, width),
        line(""),
        *fields(_sums(match, inventory), width),
    ]
    if match.effective != match.spec:
        lines += [
            line(""),
            heading("The configuration as PEFT leaves it"),
            *adapter_config_text(spec_json(match.effective), width),
        ]
    if match.warnings:
        lines += [line(""), heading("Warnings")]
        for warning in match.warnings:
            lines += bullet(warning, width, "yellow")
    return lines


def _entry_text(entry: EntryMatch, width: int) -> list[Line]:
    style = "" if entry.matched else "bold red"
    hits = exact(entry.matched) if entry.matched else "nothing"
    title = f"{entry.where} '{entry.entry}' hits {hits}"
    patterns = [pattern.text for pattern in fold(entry.paths)]
    lines = paragraph(title, width, indent=2, hanging=6, style=style)
    lines += paragraph(entry.reason, width, indent=4, style="dim")
    if entry.nearest:
        lines += paragraph(f"Nearest real names: {', '.join(entry.nearest)}", width, indent=4)
    for pattern in patterns[:_MOST_PATTERNS]:
        lines.append(line(pattern, indent=6))
    if len(patterns) > _MOST_PATTERNS:
        more = counted(len(patterns) - _MOST_PATTERNS, "more pattern")
        lines.append(line(f"and {more}", "dim", indent=6))
    return lines


def _traits(target: MatchedTarget, inventory: Inventory) -> Traits:
    module = inventory.by_path.get(target.path)
    return Traits(
        role="" if module is None else str(module.role),
        rank=target.rank,
        alpha=target.alpha,
        scale=target.scaling,
        params=target.params,
        by=str(target.reason),
        apart=target.entry,
    )


def _sums(match: Match, inventory: Inventory) -> Iterator[tuple[str, str]]:
    total = inventory.model.total_params
    yield "trainable", trainable_text(match.trainable_params, total)
    covered = {target.path for target in match.targets}
    yield "not adapted", uncovered_text(inventory, covered)
    yield (
        "trained whole",
        ", ".join(f"{saved.path} ({exact(saved.params)})" for saved in match.saved),
    )
    yield (
        "tokens",
        ", ".join(
            f"{counted(trained.tokens, 'row')} of {trained.path} ({exact(trained.params)})"
            for trained in match.trained_tokens
        ),
    )
    yield "biases", exact(match.bias_params) if match.bias_params else ""
    yield "excluded", ", ".join(pattern.text for pattern in fold(match.excluded))
