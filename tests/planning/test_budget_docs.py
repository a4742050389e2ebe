"""`docs/budgets.md` says what the data says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lorascope.planning.preferences import DEFAULT_TRADES, DROPS, GROUNDS, TRADES
from lorascope.planning.words import listed

DOCS = Path(__file__).parents[2] / "docs" / "budgets.md"


def trade_rows() -> Iterator[str]:
    """The table of trades, the cheapest first, with one line for each group of roles."""
    yield "| given up | unless said otherwise | why it stands here | ground | source |"
    yield "| --- | --- | --- | --- | --- |"
    for trade in TRADES:
        usual = "yes" if trade in DEFAULT_TRADES else "no"
        groups = DROPS if trade == "roles" else [(trade,)]
        for words in groups:
            name = f"`roles`: {listed(words)}" if trade == "roles" else f"`{trade}`"
            row = GROUNDS[words[0]]
            yield f"| {name} | {usual} | {row.text} | {row.ground} | {row.source} |"


def test_the_table_of_trades_is_that_of_the_data() -> None:
    assert "\n".join(trade_rows()) in DOCS.read_text(encoding="utf-8")
