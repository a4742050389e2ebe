"""LT027: `layers_to_transform` or `layers_pattern` do something else than they seem to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import as_written, listed
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.matching import Where
from lorascope.matching.names import EntryList
from lorascope.matching.selection import FIRST_INDEX, layer_pattern
from lorascope.matching.versions import behaviour_of

_LAYERS = Where.LAYERS_TO_TRANSFORM
_PATTERN = Where.LAYERS_PATTERN


def find(subject: Subject) -> Iterator[Problem]:
    """Find layers that are refused, out of range, read off the wrong number, or bypassed."""
    asked = _asked(subject)
    if subject.match is None:
        yield from _refused(subject)
        return
    if not asked:
        return
    named = _named(subject)
    if not named:
        return
    useless = tuple(_pattern_without_match(subject, named))
    yield from useless
    if not subject.spec.layers_pattern:
        yield from _other_index(subject, named, asked)
    if not useless:
        yield from _out_of_range(subject, named)
    yield from _bypassed(subject, asked)


def _asked(subject: Subject) -> frozenset[int]:
    layers = subject.spec.layers_to_transform
    if layers is None:
        return frozenset()
    return frozenset([layers] if isinstance(layers, int) else layers)


def _refused(subject: Subject) -> Iterator[Problem]:
    """Say what PEFT's `LoraConfig` itself refuses."""
    refused = subject.refused or ""
    spec = subject.spec
    given = {_LAYERS: spec.layers_to_transform, _PATTERN: spec.layers_pattern}
    if isinstance(spec.target_modules, str):
        for where, value in given.items():
            if value is not None and refused.startswith(where):
                yield Problem(
                    entry=as_written(value),
                    message=(
                        f"PEFT refuses {subject.recipe.key(where)} together with the string "
                        f"{spec.target_modules!r}: it takes it with a list of targets only."
                    ),
                    hint="List the target modules, or write the layers into the regular expression"
                    r", as in .*\.layers\.(0|1|2)\..*_proj",
                    where=where,
                    severity=Severity.ERROR,
                )
    elif spec.layers_pattern and refused.startswith(_PATTERN):
        yield Problem(
            entry=as_written(spec.layers_pattern),
            message=(
                f"{subject.recipe.key(_PATTERN)} says after which name the layer index stands; "
                f"without {subject.recipe.key(_LAYERS)} PEFT refuses it."
            ),
            hint=f"Add {subject.recipe.key(_LAYERS)}, or remove {subject.recipe.key(_PATTERN)}.",
            where=_PATTERN,
            severity=Severity.ERROR,
        )


@dataclass(frozen=True, slots=True)
class _Named:
    """A module that the targets name, with both of its layer indices."""

    module: Module
    read: int | None
    """What PEFT reads off the name without `layers_pattern`; None if it finds no index."""


def _named(subject: Subject) -> list[_Named]:
    """The modules that the listed targets name by their ends, in whatever layer."""
    targets = subject.match.effective.target_modules if subject.match else None
    if not isinstance(targets, tuple):
        return []
    found = []
    known = EntryList(targets)
    for path, module in subject.modules.items():
        if path in targets or known.first_naming(path) is None or not path:
            continue
        hit = FIRST_INDEX.match(path)
        found.append(_Named(module, int(hit["idx"]) if hit else None))
    return found


def _other_index(subject: Subject, named: list[_Named], asked: frozenset[int]) -> Iterator[Problem]:
    """Find names whose first index is not the layer's, or that have none where PEFT looks."""
    layered = [each for each in named if each.module.layer is not None]
    without = [each.module for each in layered if each.read is None]
    if without:
        yield Problem(
            entry=_layers_text(asked),
            message=(
                f"PEFT finds no layer index in {len(without)} of {len(named)} names, such as "
                f"{without[0].path!r}, and leaves these out: without layers_pattern it wants a "
                "part before the one with the number."
            ),
            hint=f"Add layers_pattern: {_list_name(without[0])!r}.",
            where=_LAYERS,
            paths=_paths(without),
            severity=_severity(subject),
        )
    wrong = [e.module for e in layered if e.read is not None and e.read != e.module.layer]
    if wrong:
        first = wrong[0]
        read = next(e.read for e in layered if e.module is first)
        yield Problem(
            entry=_layers_text(asked),
            message=(
                f"In {len(wrong)} names PEFT takes another number for the layer: in "
                f"{first.path!r} it reads {read}, and the layer is {first.layer}."
            ),
            hint=f"Add layers_pattern: {_list_name(first)!r}.",
            where=_LAYERS,
            paths=_paths(wrong),
            severity=_severity(subject),
        )


def _list_name(module: Module) -> str:
    """Return the name of the list that holds the blocks: what stands before the layer index."""
    parts = module.path.split(".")
    at = [i for i, part in enumerate(parts) if part == str(module.layer) and i > 0]
    return parts[at[0] - 1] if at else "layers"


def _out_of_range(subject: Subject, named: list[_Named]) -> Iterator[Problem]:
    indices = {each.module.layer for each in named if each.module.layer is not None}
    missed = [e for e in subject.entries_of(_LAYERS) if not e.matched and _is_int(e.entry)]
    beyond = [e for e in missed if indices and int(e.entry) not in indices]
    if not beyond:
        return
    first, last = min(indices), max(indices)
    rest = len(subject.entries_of(_LAYERS)) - len(beyond)
    negative = any(int(e.entry) < 0 for e in beyond)
    if subject.refused is not None:
        result = "so nothing is left to adapt and PEFT refuses"
    else:
        total = len(subject.entries_of(_LAYERS))
        result = f"and PEFT says nothing: of {total} layers asked for {rest} are there"
    yield Problem(
        entry=listed(e.entry for e in beyond),
        message=f"No module that the targets name is in such a layer, {result}.",
        hint=(
            f"They are in layers {first} to {last}."
            + (" An index is counted from 0 and may not be negative." if negative else "")
        ),
        where=_LAYERS,
        severity=_severity(subject),
    )


def _is_int(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _pattern_without_match(subject: Subject, named: list[_Named]) -> Iterator[Problem]:
    """Find patterns after which no index stands in any name."""
    if not subject.spec.layers_pattern:
        return
    if any(entry.matched for entry in subject.entries_of(Where.TARGET_MODULES)):
        return
    if subject.match is not None and subject.match.targets:
        return
    pattern = as_written(subject.spec.layers_pattern)
    lists = dict.fromkeys(
        _list_name(module) for module in subject.modules.values() if module.layer is not None
    )
    if _finds_index(subject, [each.module.path for each in named]):
        return
    yield Problem(
        entry=pattern,
        message="No name of a targeted module has a layer index after it, so PEFT adapts nothing.",
        hint=f"The blocks of this model are in {listed(lists)}.",
        where=_PATTERN,
        severity=_severity(subject),
    )


def _finds_index(subject: Subject, names: list[str]) -> bool:
    """Whether an index stands after one of the patterns in any of some names."""
    entries = subject.spec.layers_pattern or ()
    behaviour = behaviour_of(subject.peft_version)
    return any(
        subject.regex.matching(layer_pattern(entry, behaviour), names)
        for entry in ([entries] if isinstance(entries, str) else entries)
    )


def _bypassed(subject: Subject, asked: frozenset[int]) -> Iterator[Problem]:
    """Find what is adapted in other layers: by a full name, or as a parameter."""
    by_name: dict[bool, list[Module]] = {True: [], False: []}
    for target, module in subject.adapted:
        if module.layer is None or module.layer in asked:
            continue
        if target.is_parameter or target.path == target.entry:
            by_name[target.is_parameter].append(module)
    reasons: Mapping[bool, str] = {
        False: "a full name in target_modules is adapted in whatever layer it is",
        True: "target_parameters are adapted in all layers",
    }
    for is_parameter, modules in by_name.items():
        if modules:
            yield Problem(
                entry=_layers_text(asked),
                message=(
                    f"{len(modules)} targets outside of these layers are adapted too: "
                    f"{reasons[is_parameter]}."
                ),
                hint="Name them by their layers: "
                + (
                    "give target_parameters with the layer's number in each name."
                    if is_parameter
                    else "take the full names of other layers out of target_modules."
                ),
                where=_LAYERS,
                paths=_paths(modules),
            )


def _layers_text(asked: frozenset[int]) -> str:
    return listed(str(layer) for layer in sorted(asked))


def _paths(modules: list[Module]) -> tuple[str, ...]:
    return tuple(module.path for module in modules[:MOST_PATHS])


def _severity(subject: Subject) -> Severity | None:
    return Severity.ERROR if subject.refused is not None else None


RULE = Rule(
    code="LT027",
    name="layers-not-as-meant",
    severity=Severity.WARNING,
    summary="`layers_to_transform` is out of range, bypassed, or read off another number.",
    why=(
        "PEFT reads the layer off the name: the first number that is a part of it and has two "
        "parts before it. An index that no name has is skipped without a word, a full name in "
        "`target_modules` and every entry of `target_parameters` are adapted in all layers, and "
        "with a string for `target_modules` the field is refused."
    ),
    instead=(
        "Count layers from 0, list the target modules by the ends of their names, and give "
        "`layers_pattern` where another number comes first."
    ),
    bad=Example(
        "Llama-3.1-8B", {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [30, 32]}
    ),
    good=Example(
        "Llama-3.1-8B", {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [30, 31]}
    ),
    reports=("huggingface/peft#1024", "huggingface/peft#3610", "huggingface/peft#2155"),
    needs=Needs.MATCH,
    find=find,
)
