"""Which modules `target_modules` names, after exclusions and layers: PEFT's central question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lorascope.core.errors import SpecificationError
from lorascope.core.spec import LoraSpec
from lorascope.matching.bounded_regex import BoundedRegex, Pattern
from lorascope.matching.names import EntryList
from lorascope.matching.versions import Behaviour

FIRST_INDEX = re.compile(r".*?\.[^.]*\.(?P<idx>\d+)\.")
"""How PEFT finds the layer index without `layers_pattern`: the first number that is a part."""
_WORD = re.compile(r"[\w-]+")
"""An entry that is no regular expression but itself, and has no dot."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The answer for all names."""

    chosen: Mapping[str, str]
    """Names to adapt, in the order given, each with the entry or pattern that chose it."""
    excluded: Mapping[str, str]
    """Names taken out by `exclude_modules` or `modules_to_save`, with the entry that did it,
    whether a target names them or not."""
    wanted: Mapping[str, str]
    """Names that the targets name, before exclusions and layers; with the entry."""
    layer_of: Mapping[str, int]
    """Layer index that PEFT reads off each wanted name; empty if it does not look."""

    @property
    def taken_out(self) -> tuple[str, ...]:
        """Names that the targets name and that are excluded or saved whole."""
        return tuple(name for name in self.wanted if name in self.excluded)


def select(
    names: Sequence[str], spec: LoraSpec, regex: BoundedRegex, behaviour: Behaviour
) -> Selection:
    """Apply PEFT's `check_target_module_exists` to every name.

    Source: peft 0.21.2, `tuners/tuners_utils.py`.

    Raises:
        SpecificationError: A pattern is invalid or takes too long.
    """
    excluded = {**_saved(names, spec, regex), **_excluded(names, spec, regex)}
    wanted = _wanted(names, spec, regex)
    layer_of = _layers(wanted, spec, regex, behaviour)
    asked = _asked_layers(spec)
    exact = frozenset(spec.target_modules or ()) if _is_list(spec) else frozenset()
    chosen = {
        name: entry
        for name, entry in wanted.items()
        if name not in excluded
        and (asked is None or name in exact or layer_of.get(name, None) in asked)
    }
    return Selection(chosen=chosen, excluded=excluded, wanted=wanted, layer_of=layer_of)


def saved_names(names: Sequence[str], saved: Iterable[str], regex: BoundedRegex) -> dict[str, str]:
    """Return the names that PEFT keeps LoRA away from for `modules_to_save`, with the entry.

    A name counts if an entry, read as a regular expression, is one or more of its parts: the
    saved module itself and all below it.
    """
    found: dict[str, str] = {}
    by_part: dict[str, list[str]] | None = None
    plain = not any("\n" in name for name in names)
    for entry in saved:
        if plain and _WORD.fullmatch(entry):
            by_part = _by_part(names) if by_part is None else by_part
            hits: Iterable[str] = by_part.get(entry, ())
        else:
            pattern = Pattern(entry, "modules_to_save", before=r"(^|.*\.)", after=r"($|\..*)")
            hits = regex.matching(pattern, names)
        for name in hits:
            found.setdefault(name, entry)
    return found


def _by_part(names: Sequence[str]) -> dict[str, list[str]]:
    """Return for each part of the names those that it is a part of, in order."""
    found: dict[str, list[str]] = {}
    for name in names:
        for part in dict.fromkeys(name.split(".")):
            found.setdefault(part, []).append(name)
    return found


def _is_list(spec: LoraSpec) -> bool:
    return spec.target_modules is not None and not isinstance(spec.target_modules, str)


def _excluded(names: Sequence[str], spec: LoraSpec, regex: BoundedRegex) -> dict[str, str]:
    entries = spec.exclude_modules
    if not entries:
        return {}
    if isinstance(entries, str):
        pattern = Pattern(entries, "exclude_modules")
        return dict.fromkeys(regex.matching(pattern, names, whole=True), entries)
    return EntryList(entries).named(names)


def _saved(names: Sequence[str], spec: LoraSpec, regex: BoundedRegex) -> dict[str, str]:
    return saved_names(names, spec.modules_to_save or (), regex)


def _wanted(names: Sequence[str], spec: LoraSpec, regex: BoundedRegex) -> dict[str, str]:
    targets = spec.target_modules
    if targets is None:
        return {}
    if isinstance(targets, str):
        pattern = Pattern(targets, "target_modules")
        return dict.fromkeys(regex.matching(pattern, names, whole=True), targets)
    return EntryList(targets).named(names)


def _asked_layers(spec: LoraSpec) -> frozenset[int] | None:
    """Return the layers that `layers_to_transform` names; None if it restricts nothing."""
    layers = spec.layers_to_transform
    if layers is None or not _is_list(spec):
        return None
    if isinstance(layers, int):
        return frozenset({layers})
    return frozenset(layers) or None


def _layers(
    wanted: Mapping[str, str], spec: LoraSpec, regex: BoundedRegex, behaviour: Behaviour
) -> dict[str, int]:
    if _asked_layers(spec) is None:
        return {}
    if not spec.layers_pattern:
        found = ((name, FIRST_INDEX.match(name)) for name in wanted)
        return {name: int(hit["idx"]) for name, hit in found if hit is not None}
    entries = spec.layers_pattern
    exact = frozenset(spec.target_modules or ())
    pending = [name for name in wanted if name not in exact]
    layer_of: dict[str, int] = {}
    for entry in [entries] if isinstance(entries, str) else entries:
        for name, text in regex.matching(
            layer_pattern(entry, behaviour),
            pending,
            group=1 if behaviour.layer_index_is_first_group else "idx",
        ).items():
            layer_of[name] = _layer_index(text, entry)
        pending = [name for name in pending if name not in layer_of]
        if not pending:
            break
    return layer_of


def layer_pattern(entry: str, behaviour: Behaviour) -> Pattern:
    """Return what PEFT makes of an entry of `layers_pattern`; the group `idx` is the index."""
    before = r"(?:^|.*?\.)" if behaviour.layers_pattern_at_start else r".*?\."
    return Pattern(entry, "layers_pattern", before=before, after=r"\.(?P<idx>\d+)\.")


def _layer_index(text: str | None, entry: str) -> int:
    try:
        return int(text or "")
    except ValueError:
        raise SpecificationError(
            f"layers_pattern: the first group of {entry!r} matches {text!r}, which this PEFT "
            "reads as the layer index and which is no number.",
            "Write the group as (?:…).",
        ) from None
