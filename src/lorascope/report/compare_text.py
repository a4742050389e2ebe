"""The text that `lorascope plan --compare` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.report.layout import Column, Row, bullet, heading, line, table
from lorascope.report.model_header import model_header
from lorascope.report.numbers import exact, percent, size
from lorascope.report.plan_text import findings_text

_COLUMNS = (
    Column("preset", style="bold cyan"),
    Column("modules", right=True),
    Column("r"),
    Column("trainable", right=True),
    Column("of model", right=True, label=False, style="dim"),
    Column("adapted", right=True),
    Column("adapter file", right=True),
    Column("roles", style="dim"),
)


def compare_text(
    plans: Sequence[Plan], inventory: Inventory, width: int, noted: str = ""
) -> list[Text]:
    """Lay out plans for one model side by side: parameters, share of the weights, file size.

    Args:
        plans: One a row; one without targets is a row that this model cannot have.
        inventory: The model.
        width: Characters a line.
        noted: Name of the row whose advice is shown below the table.
    """
    findings = dict.fromkeys(finding for plan in plans for finding in plan.findings)
    notes = [note for plan in plans if plan.preset == noted for note in plan.advice]
    lines = [
        *model_header(inventory.model, width),
        line(""),
        *table(_COLUMNS, [_row(plan) for plan in plans], width),
        *findings_text(findings, width),
    ]
    if notes:
        lines += [line(""), heading("Notes")]
        for note in notes:
            lines += bullet(note.text, width)
    return lines


def _row(plan: Plan) -> Row:
    if not plan.targets and not plan.trainable_params:
        return Row((plan.preset, "–", "", "", "", "", "", "see below"))
    total = plan.model.total_params
    ranks = sorted({target.rank for target in plan.targets}, reverse=True)
    roles = dict.fromkeys(str(target.role) for target in plan.targets)
    return Row(
        (
            plan.preset,
            exact(len(plan.targets)),
            ", ".join(map(str, ranks)),
            exact(plan.trainable_params),
            percent(plan.trainable_params, total),
            percent(plan.covered_params, total),
            size(plan.adapter_bytes),
            ", ".join(roles),
        )
    )
