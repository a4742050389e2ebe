"""`lorascope.check`: what is wrong with a LoRA configuration, before anyone trains with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorascope.api.bases import BaseModels, BaseName
from lorascope.api.inspecting import inspect
from lorascope.api.libraries import installed_peft
from lorascope.checking import RULES, Rule, findings_of, subject_of
from lorascope.checking.check import left_out
from lorascope.checking.checked import Checked, CheckedFile
from lorascope.checking.counted_otherwise import count_notes
from lorascope.checking.resuming import resume_notes
from lorascope.core.errors import (
    IgnoredSizesError,
    LorascopeError,
    NoLoraError,
    RecipeError,
    UnknownFormatError,
    UnnamedModelError,
)
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.core.spec import LoraSpec
from lorascope.core.stored import StoredTensor
from lorascope.formats import has_signs, looks_like, read_recipes
from lorascope.formats.mapping import recipe_of_mapping
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.source.local import ADAPTER_FILE
from lorascope.source.recipe_files import find_files, read_text, real_path, stored_tensors

if TYPE_CHECKING:
    from torch import nn

OnFile = Callable[[int, int, str], None]
"""Told before each file: how many were done, how many there are, and which comes now."""
OnBases = Callable[[tuple[BaseName, ...]], None]
"""Told before the first file which base models the files name."""


@dataclass(frozen=True)
class CheckRequest:
    """How configurations are checked."""

    model: str | Inventory | None = None
    """Base model for all; None: the one that each file names."""
    tool: Tool | None = None
    """Whose files they are; None: recognized."""
    rules: tuple[Rule, ...] = RULES
    engines: tuple[str, ...] = ()
    """Serving engines whose limits count; see `lorascope.serving.engines`."""
    bases: BaseModels = field(default_factory=BaseModels)


def check(
    config: Mapping[str, Any] | str | os.PathLike[str] | LoraSpec | Recipe | Any,
    model: str | os.PathLike[str] | nn.Module | Inventory | None = None,
    *,
    tool: Tool | str | None = None,
    serve: Iterable[str] | str = (),
    rules: Sequence[Rule] = RULES,
) -> Checked:
    """Find what is wrong with one LoRA configuration.

    Args:
        config: A mapping of PEFT's fields, a `peft.LoraConfig`, a `peft.PeftModel` (its active
            adapter), or the path of an `adapter_config.json`, an adapter's directory or a
            training file with one configuration.
        model: The base model, in any form that `inspect` takes; None for the one that `config`
            names or, for a `PeftModel`, is on.
        tool: Whose file it is, see `lorascope.core.recipe.Tool`; None: recognized.
        serve: Serving engines whose limits count, as a list or as text with commas.
        rules: What to look for.

    Raises:
        RecipeError: There is no configuration to read, or more than one.
        SpecificationError: A field has a type that PEFT does not take.
        ModelReferenceError: No base model is given or named, or it cannot be read.
    """
    known = _inventory(config if model is None and hasattr(config, "peft_config") else model)
    request = CheckRequest(
        model=known,
        tool=None if tool is None else Tool(tool),
        rules=tuple(rules),
        engines=known_engines(serve),
    )
    if isinstance(config, (str, os.PathLike)):
        checked = _only(check_file(config_file(Path(config)), request))
    else:
        checked = check_recipe(recipe_of(config), Path(), request)
    if checked.problem is not None:
        raise checked.problem
    return checked


def known_engines(names: Iterable[str] | str) -> tuple[str, ...]:
    """Return the names of serving engines as `lorascope.serving.engines` has them.

    Raises:
        SpecificationError: lorascope knows nothing of one of them, or of the version asked for.
    """
    from lorascope.serving.asked import asked_engines

    return asked_engines(names)


def check_files(
    paths: Iterable[Path],
    request: CheckRequest,
    on_file: OnFile | None = None,
    on_bases: OnBases | None = None,
) -> tuple[CheckedFile, ...]:
    """Check files, and all that directories hold, sorted by path; each file once."""
    listed = tuple(paths)
    files: dict[Path, CheckedFile | _Opened] = {}
    known: set[Path] = set()
    for path in listed:
        try:
            for found in find_files(path, looks_like, has_signs):
                if real_path(found) not in known:
                    known.add(real_path(found))
                    files[found] = _opened(found, request)
        except RecipeError as error:
            files[path] = CheckedFile(str(path), error=error)
    if on_bases is not None and request.model is None:
        on_bases(tuple(_base_names(files.values())))
    checked: list[CheckedFile] = []
    for number, path in enumerate(sorted(files)):
        if on_file is not None:
            on_file(number, len(files), str(path))
        done = _done(files[path], request)
        is_named = path in listed or path.name == ADAPTER_FILE
        checked.append(done if is_named else replace(done, is_left_out=_is_none_of_ours(done)))
    return tuple(checked)


def _is_none_of_ours(file: CheckedFile) -> bool:
    """Whether what a directory holds is of no concern: another file, or one without LoRA."""
    if isinstance(file.error, (UnknownFormatError, NoLoraError)):
        return True
    if not isinstance(file.error, RecipeError) or file.text is None:
        return False  # what cannot be read may be anything
    return "lora" not in file.text.lower()


def check_file(path: Path, request: CheckRequest) -> CheckedFile:
    """Check all configurations of one file; whatever is wrong with it is in the result."""
    return _done(_opened(path, request), request)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that has been read, and not yet checked."""

    path: Path
    text: str
    recipes: tuple[Recipe, ...]


def _opened(path: Path, request: CheckRequest) -> _Opened | CheckedFile:
    """Read a file; what cannot be read is done with."""
    text = None
    try:
        text = read_text(path)
        return _Opened(path, text, read_recipes(text, str(path), request.tool))
    except LorascopeError as error:
        return CheckedFile(str(path), text=text, error=error)


def _base_names(files: Iterable[_Opened | CheckedFile]) -> Iterator[BaseName]:
    for file in files:
        if isinstance(file, _Opened):
            bases = (_base_name(recipe, file.path.parent) for recipe in file.recipes)
            yield from (base for base in bases if base is not None)


def _done(file: _Opened | CheckedFile, request: CheckRequest) -> CheckedFile:
    if isinstance(file, CheckedFile):
        return file
    try:
        checks = _checks(file.recipes, file.path, request, BoundedRegex())
    except LorascopeError as error:
        return CheckedFile(str(file.path), text=file.text, error=error)
    return CheckedFile(str(file.path), checks, file.text)


def check_text(
    text: str, origin: str, path: Path, request: CheckRequest, regex: BoundedRegex | None = None
) -> CheckedFile:
    """Check all configurations of a text.

    Args:
        text: What the file holds.
        origin: What to call it.
        path: Where it is, or would be: base models are looked for beside it.
        request: How to check.
        regex: Matches the patterns, in what is left of its time; None for one of its own.
    """
    try:
        recipes = read_recipes(text, origin, request.tool)
        checks = _checks(recipes, path, request, BoundedRegex() if regex is None else regex)
    except LorascopeError as error:
        return CheckedFile(origin, text=text, error=error)
    return CheckedFile(origin, checks, text)


def _checks(
    recipes: Sequence[Recipe], path: Path, request: CheckRequest, regex: BoundedRegex
) -> tuple[Checked, ...]:
    stored, note = _tensors(path, recipes)
    return tuple(
        check_recipe(recipe, path.parent, request, stored=stored, notes=note, regex=regex)
        for recipe in recipes
    )


def check_recipe(
    recipe: Recipe,
    beside: Path,
    request: CheckRequest,
    *,
    stored: tuple[StoredTensor, ...] | None = None,
    notes: tuple[str, ...] = (),
    regex: BoundedRegex | None = None,
) -> Checked:
    """Check one configuration, without the model if that cannot be had.

    Args:
        recipe: What somebody wrote.
        beside: Directory in which base models are looked for, too.
        request: How to check.
        stored: Tensors of the trained adapter; None if there are none to read.
        notes: What the reader must know, each one sentence.
        regex: Matches the patterns, in what is left of its time; None for one of its own.

    Raises:
        SpecificationError: A field has a type that PEFT does not take.
    """
    try:
        inventory, problem = _base(recipe, beside, request), None
    except LorascopeError as error:
        inventory, problem = None, error
    ignored = problem.what if isinstance(problem, IgnoredSizesError) else None
    subject = subject_of(
        recipe,
        inventory,
        stored=stored,
        engines=request.engines,
        ignored_sizes=ignored,
        peft_version=installed_peft(),
        regex=regex,
    )
    # That sizes are ignored is a finding.
    problem = None if ignored is not None else problem
    findings = findings_of(subject, request.rules)
    notes = (*notes, *resume_notes(recipe), *count_notes(subject), *left_out(findings))
    return Checked(subject, findings, problem, notes)


def _base(recipe: Recipe, beside: Path, request: CheckRequest) -> Inventory:
    if isinstance(request.model, Inventory):
        return request.model
    if request.model is not None:
        return request.bases.given(request.model, _task_type(recipe))
    base = _base_name(recipe, beside)
    if base is None:
        raise UnnamedModelError(
            f"{recipe.origin} names no base model.", "Name it: lorascope check PATH MODEL."
        )
    return request.bases.named(base)


def _base_name(recipe: Recipe, beside: Path) -> BaseName | None:
    if recipe.base_model is None or not recipe.base_model.strip():
        return None
    return BaseName(recipe.base_model, beside, recipe.revision, _task_type(recipe))


def _task_type(recipe: Recipe) -> str | None:
    task_type = recipe.stated.get("task_type")
    return task_type if isinstance(task_type, str) else None


def _tensors(
    path: Path, recipes: Sequence[Recipe]
) -> tuple[tuple[StoredTensor, ...] | None, tuple[str, ...]]:
    if path.name != ADAPTER_FILE or [recipe.tool for recipe in recipes] != [Tool.PEFT]:
        return None, ()
    stored, note = stored_tensors(path)
    if stored is None and note is None:
        note = "No weights beside it, so no tensors are compared."
    return stored, () if note is None else (note,)


def config_file(path: Path) -> Path:
    """Return the configuration in an adapter's directory, and any other path as it is."""
    try:
        inside = path / ADAPTER_FILE
        return inside if path.is_dir() and inside.is_file() else path
    except (OSError, ValueError):  # a name that the file system cannot hold
        return path


def _only(file: CheckedFile) -> Checked:
    if file.error is not None:
        raise file.error
    if len(file.checks) != 1:
        raise RecipeError(
            f"{file.path} holds {len(file.checks)} configurations; expected one.",
            "Take lorascope.check_files, or the command `lorascope check`.",
        )
    return file.checks[0]


def recipe_of(config: Any) -> Recipe:
    """Return the recipe of a value in memory.

    Raises:
        RecipeError: It is none.
    """
    if isinstance(config, Recipe):
        return config
    if isinstance(config, LoraSpec):
        fields = {name: getattr(config, name) for name in LoraSpec.__dataclass_fields__}
        return Recipe(Tool.PEFT, "LoraSpec", {k: v for k, v in fields.items() if k != "unmodelled"})
    if isinstance(config, Mapping):
        return recipe_of_mapping(config, "configuration")
    if hasattr(config, "peft_config"):
        adapters = config.peft_config
        active = getattr(config, "active_adapter", None)
        active = active if isinstance(active, str) else next(iter(adapters))
        return recipe_of_mapping(adapters[active].to_dict(), f"adapter {active!r}")
    if hasattr(config, "to_dict"):
        return recipe_of_mapping(config.to_dict(), type(config).__name__)
    raise RecipeError(
        f"A LoRA configuration cannot be read from {type(config).__name__}.",
        "Give a mapping, a peft.LoraConfig, a peft.PeftModel or a path.",
    )


def _inventory(model: Any) -> str | Inventory | None:
    if model is None or isinstance(model, Inventory):
        return model
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    return inspect(model)
