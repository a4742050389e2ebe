"""The pages written from the program are current."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from lorascope.checking import RULES, Example
from lorascope.core.recipe import Tool

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def rules() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "make_rules.py"))


@pytest.mark.parametrize(
    ("script", "maker", "page"),
    [("make_cli.py", "cli_page", "cli.md"), ("make_output.py", "output_page", "output.md")],
)
def test_page_is_current(script: str, maker: str, page: str) -> None:
    made = runpy.run_path(str(DOCS / script))[maker]()
    assert (DOCS / page).read_text("utf-8") == made, f"run: python docs/{script}"


def test_every_rule_has_a_current_page(rules: dict[str, Any]) -> None:
    pages = rules["rule_pages"]()
    assert [path.stem for path in pages] == [rule.code for rule in RULES]
    assert rules["stale"](pages) == [], "run: python docs/make_rules.py"


def test_the_table_has_a_current_row_for_each_rule() -> None:
    text = (DOCS / "rules.md").read_text("utf-8")
    rows = re.findall(r"^\| \[(LT\d+)\]\((.+?)\) \| (\w+) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert [row[:4] for row in rows] == [
        (rule.code, f"rules/{rule.code}.md", str(rule.severity), rule.summary.replace("|", "\\|"))
        for rule in RULES
    ], "run: python docs/make_rules.py"
    for row in rows:
        assert re.match(r"nothing$|a warning: `|an error: `|not tried: ", row[4])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"target_modules": ["c_attn"], "fan_in_fan_out": True}, r"nothing"),
        (
            {"target_modules": ["q_proj"]},
            r"an error: `\w+: Target modules \{'q_proj'\} not found in the base model\. .* …`",
        ),
        ({"target_modules": ["c_attn"]}, r"a warning: `fan_in_fan_out is set to False but .*`"),
    ],
)
def test_what_peft_says_is_asked(config: dict[str, Any], said: str, rules: dict[str, Any]) -> None:
    assert re.fullmatch(said, rules["said_of"](Example("gpt2", config)))


def test_what_trains_without_peft_is_not_tried(rules: dict[str, Any]) -> None:
    example = Example("gpt2", "lora_parameters: {}", Tool.MLX_LM)
    assert rules["said_of"](example) == "not tried: mlx-lm trains without PEFT"
