"""Check one input in every way there is, and say what must never happen and did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from inventories import WIDE
from mutate import Input
from odd_values import odd_text, odd_value
from stopwatch import Stopwatch

from lorascope.api import CheckRequest, check_files, mend
from lorascope.api.bases import BaseModels, BaseName
from lorascope.api.checks import check_recipe
from lorascope.checking import RULES
from lorascope.checking.checked import CheckedFile
from lorascope.core.errors import LorascopeError, ModelReferenceError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Edit, Recipe
from lorascope.formats import read_recipes
from lorascope.formats.edit import apply_edits
from lorascope.formats.mapping import recipe_of_mapping
from lorascope.report.check_text import check_text
from lorascope.report.github_annotations import github_annotations
from lorascope.report.json_check import check_json
from lorascope.report.layout import UNLIMITED
from lorascope.report.sarif import sarif
from lorascope.serving.engines import engines
from lorascope.source.resolver import resolve_base

_WIDTHS = (20, 80, UNLIMITED)
_WIDE_EVERY = 140
"""One input of so many is on the wide model: it takes as long as fifty others."""
_TENSORS = "adapter_model.safetensors"
MOST_WIDE_S = 8.0
"""Seconds that a step may take for each configuration on 60,000 modules, on an ordinary machine. To
adapt all of them, with copies of some beside, takes some 3 without any ill will."""
_ASCII = frozenset(map(chr, range(32, 127)))


class FoundError(Exception):
    """Something that must never happen."""


def try_input(
    made: Input, directory: Path, inventories: Mapping[str, Inventory], watch: Stopwatch
) -> None:
    """Check, print and mend one input.

    Args:
        made: What to try.
        directory: Where its files are put for a while.
        inventories: Models by name.
        watch: Measures the steps.

    Raises:
        FoundError: What came out is not what may come out.
        Exception: Anything that was raised and should not have been.
    """
    random = Random(made.choices)  # noqa: S311 - not for secrets
    path = directory / made.name
    path.write_bytes(made.content)
    tensors = directory / _TENSORS
    if made.tensors is not None:
        tensors.write_bytes(made.tensors)
    try:
        request = _request(made, random, inventories, watch)
        with watch.step("check"):
            files = check_files([path], request)
        if request.model is inventories[WIDE]:
            watch.most_s = MOST_WIDE_S * max(1, *(len(file.checks) for file in files))
        if any(file.checks for file in files):
            watch.codes = frozenset(each.code for file in files for each in file.findings)
        _print(files, watch)
        for file in files:
            with watch.step("fix"):
                mended = mend(file, path, request)
            watch.is_mended = mended.is_changed
            if mended.is_changed:
                _print((mended.after,), watch)
            with watch.step("edit"):
                _edit(file, random)
        if random.random() < 0.05:
            _check_mapping(random, request, watch)
    finally:
        path.unlink()
        tensors.unlink(missing_ok=True)


class _Resolved(BaseModels):
    """Looks for the base models that files name, and builds none."""

    def named(self, base: BaseName) -> Inventory:
        resolve_base(base.name, base.beside, offline=True, revision=base.revision)
        raise ModelReferenceError(f"{base.name} is not built.")

    def lacking(self, bases: Iterable[BaseName]) -> tuple[BaseName, ...]:
        del bases
        return ()


def _request(
    made: Input, random: Random, inventories: Mapping[str, Inventory], watch: Stopwatch
) -> CheckRequest:
    served = tuple(engines()) if random.random() < 0.2 else ()
    common = CheckRequest(tool=made.tool, rules=RULES, engines=served)
    if random.random() < 0.05:
        return replace(common, bases=_Resolved())
    names = [name for name in inventories if name != WIDE]
    name = random.choice(names) if made.number % _WIDE_EVERY else WIDE
    watch.model = name
    return replace(common, model=inventories[name])


def _print(files: tuple[CheckedFile, ...], watch: Stopwatch) -> None:
    """Print in every form; nothing that a terminal acts upon may be in it."""
    for width in _WIDTHS:
        form = f"text of width {width}"
        with watch.step(form):
            lines = check_text(files, width)
        for line in lines:
            _check_line(line.plain, form)
    with watch.step("github"):
        commands = list(github_annotations(files))
    for command in commands:
        _check_line(command, "github")
    for form, value_of in (("json", check_json), ("sarif", sarif)):
        with watch.step(form):
            text = json.dumps(value_of(files))
        if not _ASCII.issuperset(text):
            raise FoundError(f"{form}: not plain ASCII")
        json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise FoundError(f"{name} is no JSON")


def _check_line(line: str, form: str) -> None:
    if not line.isprintable():
        odd = next(c for c in line if not c.isprintable())
        raise FoundError(f"{form}: {odd!r} in {line[:200]!r}")


def _edit(file: CheckedFile, random: Random) -> None:
    """Change something at random: it is done, and can be read again, or it is refused."""
    text = file.text
    if text is None:
        return
    for checked in file.checks:
        edits = list(_edits(checked.recipe, random))
        try:
            after = apply_edits(text, checked.recipe, edits)
            read_recipes(after, checked.recipe.origin, checked.recipe.tool)
        except LorascopeError:
            continue


def _edits(recipe: Recipe, random: Random) -> Iterator[Edit]:
    for _ in range(random.choice((1, 1, 2))):
        if not recipe.stated:
            return
        name = random.choice(list(recipe.stated))
        value = recipe.stated[name]
        entries = [str(each) for each in value] if isinstance(value, (tuple, list, dict)) else []
        if entries and random.random() < 0.7:
            instead = tuple(odd_text(random) for _ in range(random.choice((0, 1, 2))))
            yield Edit(name, random.choice(entries), instead)
        else:
            yield Edit(name, None, _new_value(random))


def _new_value(random: Random) -> Any:
    if random.random() < 0.5:
        return tuple(odd_text(random) for _ in range(random.choice((0, 1, 3))))
    return random.choice((8, 0.1, True, None, odd_text(random), odd_value(random)))


def _check_mapping(random: Random, request: CheckRequest, watch: Stopwatch) -> None:
    """Check a mapping, as Python code may give one."""
    fields = ("r", "target_modules", "rank_pattern", "bias", "layers_to_transform", "task_type")
    values = {name: odd_value(random) for name in fields if random.random() < 0.5}
    values |= {
        name: random.choice((b"x", {"a"}, object, 1j, range(3)))
        for name in fields[:2]
        if random.random() < 0.2
    }
    try:
        checked = check_recipe(recipe_of_mapping(values, "mapping"), Path(), request)
    except LorascopeError:
        return
    _print((CheckedFile("mapping", (checked,)),), watch)
