import json
import re
from dataclasses import replace

import pytest
import yaml

from lorascope.checking import RULES, Example, Rule
from lorascope.core.recipe import Tool
from lorascope.report.layout import UNLIMITED
from lorascope.report.rule_text import rule_markdown, rule_text, rules_text

RULE = RULES[0]


def text_of(rule: Rule, width: int = UNLIMITED) -> str:
    return "\n".join(line.plain for line in rule_text(rule, width))


@pytest.mark.parametrize("width", [60, UNLIMITED])
def test_the_list_names_every_rule(width: int) -> None:
    text = "\n".join(line.plain for line in rules_text(RULES, width))
    for rule in RULES:
        assert re.search(rf"^{rule.code} +{rule.severity} +{rule.name}\b", text, re.MULTILINE)
        assert rule.summary.split()[0] in text


def test_the_list_keeps_to_the_width() -> None:
    assert max(line.width for line in rules_text(RULES, 60)) <= 60


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_page_has_all_parts(rule: Rule) -> None:
    text = text_of(rule)
    assert text.startswith(f"{rule.code} {rule.name} ({rule.severity})\n\n")
    titles = ["Why this is bad", "Example", "Use instead", "Reported in"]
    places = [text.index(f"\n{title}\n") for title in titles]
    assert places == sorted(places)
    for report in rule.reports:
        assert report in text
    markdown = rule_markdown(rule)
    assert markdown.startswith(f"# {rule.code} {rule.name}\n")
    assert rule.why in markdown
    assert rule.instead in markdown


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_page_is_made_for_reading(rule: Rule) -> None:
    prose = text_of(rule)
    prose = prose[: prose.index("\nExample\n")]
    assert max(map(len, prose.splitlines())) <= 100
    assert text_of(rule, 60).isprintable() or "\n" in text_of(rule, 60)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_code_blocks_are_what_they_say(rule: Rule) -> None:
    blocks = re.findall(r"```(\w*)\n(.*?)\n```", rule_markdown(rule), re.DOTALL)
    assert len(blocks) >= 2
    for language, text in blocks:
        assert language in {"json", "yaml", "console", ""}
        if language == "json":
            json.loads(text)
        if language == "yaml":
            assert isinstance(yaml.safe_load(text), dict)


def test_reports_are_links_where_they_can_be() -> None:
    reports = ("owner/name#12", "https://example.org/page", "13 commands of its own examples")
    text = rule_markdown(replace(RULE, reports=reports))
    assert "- [owner/name#12](https://github.com/owner/name/issues/12)\n" in text
    assert "- <https://example.org/page>\n" in text
    assert "- 13 commands of its own examples\n" in text


@pytest.mark.parametrize(
    ("config", "language"),
    [
        ({"target_modules": ["q_proj"]}, "json"),
        ('{"lora_parameters": {}}', "json"),
        ("---\nadapter: lora\n", "yaml"),
        ("adapter: lora  # see --help\n", "yaml"),
        ("trl sft --lora_target_modules q_proj\n", "console"),
        ("# all\nswift sft \\\n  --target_modules q_proj\n", "console"),
    ],
)
def test_an_example_is_shown_in_its_language(config: object, language: str) -> None:
    example = Example("Phi-3-mini", config)  # type: ignore[arg-type]
    assert f"```{language}\n" in rule_markdown(replace(RULE, bad=example, good=example))


def test_an_example_says_on_what_it_is() -> None:
    tensors = {"base_model.model.score.lora_A.weight": (8, 4096)}
    example = Example(
        "Phi-3-mini",
        "adapter: lora",
        Tool.AXOLOTL,
        engines=("vllm", "tgi"),
        tensors=tensors,
        task_type="SEQ_CLS",
    )
    about = "axolotl on Phi-3-mini, task type SEQ_CLS, served by vllm, tgi"
    rule = replace(RULE, bad=example)
    assert f"  {about}\n    adapter: lora\n  its stored tensors\n" in text_of(rule)
    assert "    base_model.model.score.lora_A.weight  8 × 4096\n" in text_of(rule)
    assert f"{about}:\n\n```yaml\nadapter: lora\n```\n\nIts stored tensors:\n" in rule_markdown(
        rule
    )
