"""The pages written from the program are current."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("script", "maker", "page"),
    [("make_cli.py", "cli_page", "cli.md"), ("make_output.py", "output_page", "output.md")],
)
def test_page_is_current(script: str, maker: str, page: str) -> None:
    made = runpy.run_path(str(DOCS / script))[maker]()
    assert (DOCS / page).read_text("utf-8") == made, f"run: python docs/{script}"
