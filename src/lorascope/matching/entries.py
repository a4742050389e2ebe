"""One explanation for each entry of the configuration: what it hits, and why or why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.spec import LoraSpec
from lorascope.matching.all_linear import SHORTHAND
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.choosing import Choice
from lorascope.matching.expert_rewrite import Rewrite
from lorascope.matching.names import Endings, EntryList
from lorascope.matching.nearest import with_nearest
from lorascope.matching.patterns import KeyedNames
from lorascope.matching.result import EntryMatch, MatchedTarget, SavedModule, Where
from lorascope.matching.selection import Selection


def explain_entries(
    choice: Choice,
    effective: LoraSpec,
    targets: Sequence[MatchedTarget],
    saved: Sequence[SavedModule],
) -> tuple[EntryMatch, ...]:
    """Return an explanation for each entry that the user wrote, in the order of the fields.

    Args:
        choice: What was asked, selected, excluded and rewritten.
        effective: The configuration as PEFT left it.
        targets: What is adapted.
        saved: What is saved whole.
    """
    spec, selection, regex = choice.spec, choice.selection, choice.regex
    entries = (
        *_targets(spec, choice.rewrite, selection, targets),
        *_exclusions(spec, selection),
        *_parameters(spec, targets),
        *_saved(spec, selection, saved),
        *_patterns(spec, effective, targets, regex),
        *_layers(spec, selection),
    )
    return with_nearest(entries, choice.inventory, choice.modules)


def _targets(
    spec: LoraSpec, rewrite: Rewrite, selection: Selection, targets: Sequence[MatchedTarget]
) -> Iterator[EntryMatch]:
    entries = spec.target_modules
    if entries is None:
        return
    if isinstance(entries, str):
        paths = [target.path for target in targets if target.entry == entries]
        yield _entry(Where.TARGET_MODULES, entries, paths, _why_pattern(entries, paths))
        return
    hits = _by_entry((target.path for target in targets if not target.is_parameter), entries)
    missed = [entry for entry in entries if not hits[entry]]
    wanted = _by_entry(selection.wanted, missed)
    for entry in entries:
        parameter = rewrite.parameters_of.get(entry)
        if parameter is not None:
            paths = [
                target.path
                for target in targets
                if target.is_parameter and f".{target.path}".endswith(f".{parameter}")
            ]
            why = (
                f"PEFT rewrites it to the parameter {parameter}; modules of this name are not "
                "adapted."
            )
        else:
            paths = hits[entry]
            why = _why_listed(entry, paths, wanted.get(entry, ()), selection)
        yield _entry(Where.TARGET_MODULES, entry, paths, why)


def _why_pattern(pattern: str, paths: Sequence[str]) -> str:
    if pattern.lower() == SHORTHAND:
        return "Every nn.Linear and Conv1D, without the output embedding or classifier head."
    if paths:
        return "The regular expression matches the whole name."
    return "The regular expression matches no whole name; a string is not a suffix."


def _why_listed(
    entry: str, paths: Sequence[str], wanted: Sequence[str], selection: Selection
) -> str:
    if paths == [entry]:
        return "It is the full name."
    if paths:
        return "The names end with it."
    if not wanted:
        return "No module has this name, and no name ends with a dot and it."
    excluded = sum(name in selection.excluded for name in wanted)
    if excluded == len(wanted):
        return f"It names {excluded}, but all are excluded or saved whole."
    return f"It names {len(wanted)}, but none in the layers to transform."


def _exclusions(spec: LoraSpec, selection: Selection) -> Iterator[EntryMatch]:
    entries = spec.exclude_modules
    if not entries:
        return
    listed = [entries] if isinstance(entries, str) else entries
    hits: dict[str, list[str]] = {entry: [] for entry in listed}
    named: dict[str, int] = dict.fromkeys(listed, 0)
    known = EntryList(listed)
    for name, decided in selection.excluded.items():
        by = [decided] if isinstance(entries, str) else known.naming(name)
        for entry in by:
            if entry in hits:
                named[entry] += 1
                if name in selection.wanted:
                    hits[entry].append(name)
    for entry in listed:
        if hits[entry]:
            why = "It takes these out of the targets."
        elif named[entry]:
            why = f"It names {named[entry]}, none of which is targeted anyway."
        else:
            why = "It names nothing; a container's name does not exclude what is inside."
        yield _entry(Where.EXCLUDE_MODULES, entry, hits[entry], why)


def _parameters(spec: LoraSpec, targets: Sequence[MatchedTarget]) -> Iterator[EntryMatch]:
    entries = spec.target_parameters or ()
    hits = _by_entry((target.path for target in targets if target.is_parameter), entries)
    for entry in entries:
        why = "The parameter names end with it." if hits[entry] else "No parameter has this name."
        yield _entry(Where.TARGET_PARAMETERS, entry, hits[entry], why)


def _saved(
    spec: LoraSpec, selection: Selection, saved: Sequence[SavedModule]
) -> Iterator[EntryMatch]:
    endings = Endings([module.path for module in saved])
    kept_by = Counter(by for name, by in selection.excluded.items() if name in selection.wanted)
    for entry in spec.modules_to_save or ():
        paths = endings.ending(entry)
        kept = kept_by[entry]
        why = "The names end with it." if paths else "No module's name ends with it."
        if kept:
            why += f" LoRA is kept away from {kept} targeted modules there."
        yield _entry(Where.MODULES_TO_SAVE, entry, paths, why)


def _patterns(
    spec: LoraSpec, effective: LoraSpec, targets: Sequence[MatchedTarget], regex: BoundedRegex
) -> Iterator[EntryMatch]:
    known = KeyedNames(target.path for target in targets)
    by_path = {target.path: target for target in reversed(targets)}
    for where, asked, in_force in (
        (Where.RANK_PATTERN, spec.rank_pattern, effective.rank_pattern),
        (Where.ALPHA_PATTERN, spec.alpha_pattern, effective.alpha_pattern),
    ):
        rank = where is Where.RANK_PATTERN
        decided: dict[str | None, list[str]] = {}
        for target in targets:
            decided.setdefault(target.rank_key if rank else target.alpha_key, []).append(
                target.path
            )
        for key in asked:
            paths = decided.get(key, [])
            if paths:
                why = f"It sets {where.value.partition('_')[0]} {in_force[key]} here."
            else:
                why = _why_undecided(key, where, known, by_path, regex)
            yield _entry(where, key, paths, why)


def _why_undecided(
    key: str,
    where: Where,
    known: KeyedNames,
    by_path: Mapping[str, MatchedTarget],
    regex: BoundedRegex,
) -> str:
    try:
        reached = known.matching(key, where.value, regex)
    except UnmodelledError:
        return "It takes too long to be matched."
    except SpecificationError:
        # Earlier keys decide for every name, so PEFT never compiles this one.
        return "It is no valid regular expression, but no name gets as far."
    if not reached:
        return "No target's name matches it."
    first = by_path[reached[0]]
    earlier = first.rank_key if where is Where.RANK_PATTERN else first.alpha_key
    return f"An earlier key decides for all that it matches, {earlier!r} for one."


def _layers(spec: LoraSpec, selection: Selection) -> Iterator[EntryMatch]:
    layers = spec.layers_to_transform
    if layers is None:
        return
    in_layer: dict[int | None, list[str]] = {}
    for name in selection.chosen:
        in_layer.setdefault(selection.layer_of.get(name), []).append(name)
    for layer in [layers] if isinstance(layers, int) else layers:
        paths = in_layer.get(layer, [])
        why = f"Layer {layer}." if paths else f"No targeted module has the layer index {layer}."
        yield _entry(Where.LAYERS_TO_TRANSFORM, str(layer), paths, why)
    patterns = spec.layers_pattern or ()
    paths = [name for name in selection.chosen if name in selection.layer_of]
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        yield _entry(
            Where.LAYERS_PATTERN, pattern, paths, "The layer index is read after this name."
        )


def _by_entry(names: Iterable[str], entries: Iterable[str]) -> Mapping[str, list[str]]:
    """Return for each entry of a list the names that it names."""
    hits: dict[str, list[str]] = {entry: [] for entry in entries}
    known = EntryList(hits)
    for name in names:
        for entry in known.naming(name):
            hits[entry].append(name)
    return hits


def _entry(where: Where, entry: str, paths: Sequence[str], reason: str) -> EntryMatch:
    return EntryMatch(
        where=where, entry=entry, matched=len(paths), paths=tuple(paths), reason=reason
    )
