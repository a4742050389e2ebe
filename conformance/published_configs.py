"""Check the configurations that tools publish: no error may be found that is not known as true.

Usage: python conformance/published_configs.py DIR [--write docs/published-configs.md]
       [--list LT001,LT002]
DIR holds one checkout a tool, its folder named as the page shall name it. Exit status 1 if an error
is found that published_errors.tsv does not list, or one of that file is not found; each is printed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from published_bases import StandIns
from published_page import by_rule, page
from published_result import KNOWN, Configuration, Known, Result, not_found, read_known
from published_texts import Text, commit_of, texts

from lorascope.api.checks import CheckRequest, check_recipe
from lorascope.core.errors import LorascopeError, NoLoraError, UnknownFormatError
from lorascope.core.recipe import Recipe
from lorascope.formats import read_recipes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="holds the checkouts")
    parser.add_argument("--write", type=Path, help="write the page to this file")
    parser.add_argument("--list", metavar="RULES", help="print the findings of these rules, or all")
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"

    start = time.perf_counter()
    checkouts = sorted(path for path in arguments.directory.iterdir() if path.is_dir())
    with tempfile.TemporaryDirectory() as folder:
        bases = StandIns(Path(folder))
        results = [result_of(checkout, bases) for checkout in checkouts]
    known = read_known(KNOWN.read_text("utf-8"))
    _print(results, arguments.list)
    print(f"{time.perf_counter() - start:.0f} s")
    if arguments.write:
        arguments.write.write_text(page(results, known), encoding="utf-8")
    return 1 if _print_wrong(results, known) else 0


def result_of(checkout: Path, bases: StandIns) -> Result:
    """Read and check all that a checkout holds."""
    result = Result(checkout.name, commit_of(checkout))
    for text in texts(checkout):
        result.texts += 1
        _add(text, result, bases)
    return result


def _add(text: Text, result: Result, bases: StandIns) -> None:
    try:
        recipes = read_recipes(text.text, text.name)
        checked = [_checked(recipe, text, result.checkout, bases) for recipe in recipes]
    except NoLoraError:
        result.without_lora += 1
    except UnknownFormatError:
        result.of_no_tool += 1
    except LorascopeError as error:
        if text.speaks_of_lora:
            result.unreadable.append((text.path, str(error)))
        else:
            result.of_no_tool += 1
    else:
        result.configurations += checked


def _checked(recipe: Recipe, text: Text, checkout: str, bases: StandIns) -> Configuration:
    found = bases.inventory(recipe, f"{checkout}/{text.path}")
    if isinstance(found, str):
        request, why_not = CheckRequest(), found
    else:
        request, why_not = CheckRequest(model=found), None
    checked = check_recipe(replace(recipe, base_model=None), Path(), request)
    return Configuration(text.path, recipe.base_model, checked.findings, why_not)


def _print(results: list[Result], rules: str | None) -> None:
    for result in results:
        unknown = sum(each.unknown_model is not None for each in result.configurations)
        print(
            f"{result.checkout} {result.commit}: {result.texts} texts, {result.of_no_tool} of no"
            f" tool known, {result.without_lora} without LoRA, {len(result.unreadable)} not"
            f" readable; {len(result.configurations)} configurations, {unknown} of unknown model;"
            f" {by_rule(result)}"
        )
        for each in result.configurations if rules is not None else ():
            for found in each.findings:
                if found.code.startswith(tuple(rules.split(",")) if rules else ""):
                    print(
                        f"  {found.severity} {found.code} {each.path} [{each.base_model}]"
                        f" {found.entry!r}: {found.message} -> {found.hint}"
                    )


def _print_wrong(results: list[Result], known: tuple[Known, ...]) -> bool:
    wrong = [
        f"not known as true: {result.checkout}\t{each.file}\t{found.code}\t{found.entry}"
        f"\t[{each.base_model}] {found.message}"
        for result in results
        for each, found in result.unexplained(known)
    ]
    wrong += [
        f"known, and not found: {row.checkout} {row.path} {row.code} {row.entry!r}"
        for row in not_found(results, known)
    ]
    for line in wrong:
        print(line, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
