"""The page on what is found in published configurations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import peft
import transformers
from published_result import Known, Result

from lorascope.core.finding import Severity

_TITLE = """\
# Published configurations

Made by `make published DIR=…`: every file of these checkouts that `lorascope check` would read in
a directory, and the commands and files shown in their pages and scripts. No Hub is asked: a model
type with its default sizes, or a built-in example, stands for each base model
([published_models.tsv](../conformance/published_models.tsv)). An error must be true; each is listed
with its reason, and one more than these fails the run.
"""


def page(results: list[Result], known: tuple[Known, ...]) -> str:
    """Return the page."""
    blocks = (
        (_TITLE, f"transformers {transformers.__version__}, PEFT {peft.__version__}.", ""),
        _reading(results),
        _findings(results),
        _true_errors(known),
        _unreadable(results),
        _unknown_models(results),
    )
    return "\n".join(line for block in blocks for line in block)


def _reading(results: list[Result]) -> Iterator[str]:
    yield "## What was read"
    yield ""
    yield "Texts are files and blocks of pages. A model is known if something stands for it;"
    yield "without one only the rules that need none were run."
    yield ""
    yield (
        "| checkout | commit | texts | of no tool known | trains no LoRA | not readable |"
        " configurations | with a known model |"
    )
    yield "| --- | --- | --: | --: | --: | --: | --: | --: |"
    for each in results:
        with_model = sum(one.unknown_model is None for one in each.configurations)
        yield (
            f"| {each.checkout} | {each.commit} | {each.texts} | {each.of_no_tool} |"
            f" {each.without_lora} | {len(each.unreadable)} | {len(each.configurations)} |"
            f" {with_model} |"
        )
    yield ""


def _findings(results: list[Result]) -> Iterator[str]:
    yield "## What was found"
    yield ""
    yield "Configurations with at least one such finding, and how many each rule has."
    yield ""
    yield "| checkout | configurations | errors | warnings | to know | by rule |"
    yield "| --- | --: | --: | --: | --: | --- |"
    for each in results:
        counts = [
            sum(any(True for _ in one.of(severity)) for one in each.configurations)
            for severity in Severity
        ]
        cells = " | ".join(str(count) for count in counts)
        yield f"| {each.checkout} | {len(each.configurations)} | {cells} | {by_rule(each)} |"
    yield ""


def by_rule(result: Result) -> str:
    """Return the rules with the number of their findings: `E LT001 2, W LT011 3`."""
    counts = Counter(
        (Severity(found.severity).rank, f"{found.severity[0].upper()} {found.code}")
        for each in result.configurations
        for found in each.findings
    )
    return ", ".join(f"{name} {count}" for (_, name), count in sorted(counts.items()))


def _true_errors(known: tuple[Known, ...]) -> Iterator[str]:
    yield "## Errors, each of them true"
    yield ""
    yield "| checkout | file | rule | entry | why it is true |"
    yield "| --- | --- | --- | --- | --- |"
    for row in known:
        entry = "`{}`".format(row.entry.replace("|", "\\|")) if row.entry else "–"
        yield f"| {row.checkout} | {row.path} | {row.code} | {entry} | {row.why} |"
    yield ""


def _unreadable(results: list[Result]) -> Iterator[str]:
    yield "## Not readable"
    yield ""
    yield "Texts that speak of LoRA."
    yield ""
    lines = [f"- {each.checkout} {why}" for each in results for _, why in each.unreadable]
    yield from lines or ["None."]
    yield ""


def _unknown_models(results: list[Result]) -> Iterator[str]:
    yield "## Base models that nothing stands for"
    yield ""
    yield "| base model | configurations | why |"
    yield "| --- | --: | --- |"
    counts = Counter(
        (one.base_model or "", one.unknown_model)
        for each in results
        for one in each.configurations
        if one.unknown_model is not None
    )
    for (name, why), count in sorted(counts.items()):
        yield f"| {name} | {count} | {why} |"
    yield ""
