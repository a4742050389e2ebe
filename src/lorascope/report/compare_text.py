"""The text that `lorascope plan --compare` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.report.layout import Column, Row, line, table
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


def compare_text(plans: Sequence[Plan], inventory: Inventory, width: int) -> list[Text]:
    """Lay out plans for one model side by side: parameters, share of the weights, file size."""
    findings = dict.fromkeys(finding for plan in plans for finding in plan.findings)
    return [
        *model_header(inventory.model, width),
        line(""),
        *table(_COLUMNS, [_row(plan) for plan in plans], width),
        *findings_text(findings, width),
    ]


def _row(plan: Plan) -> Row:
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
