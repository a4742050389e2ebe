"""The text that `lorascope diff` prints: both sides, what differs in groups, then the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from lorascope.core.numbers import counted, exact, plain, short
from lorascope.matching.configured import Configured
from lorascope.matching.difference import (
    Adaptation,
    Changed,
    Difference,
    FieldDifference,
    TokensChanged,
)
from lorascope.matching.result import MatchedTarget, SavedModule
from lorascope.report.coverage import adapted_text, trainable_text
from lorascope.report.fold import fold
from lorascope.report.layout import (
    Column,
    Heading,
    Row,
    bullet,
    fields,
    heading,
    paragraph,
    table,
)
from lorascope.report.lines import Line, line
from lorascope.report.plain_json import plain_json
from lorascope.report.targets_table import COLUMNS, Traits, in_role_order, targets_table

_VARIANTS = Column("besides", style="yellow")
_MINUS = "−"
_NAME = 1
_FIELDS = (Column("field", style="cyan", label=False), Column("A"), Column("B"))
_LONGEST_VALUE = 100
"""Characters of a field's value beyond which it is only counted."""
_MOST_ROWS_NAMED = 8
"""Trained rows of one embedding that are named; more are counted."""


_MOST_FIELDS_NAMED = 4
"""Fields that the verdict names; more are counted, and listed above it."""


def diff_text(found: Difference, width: int) -> list[Line]:
    """Lay out what differs between two configurations, names folded as in a plan."""
    lines = fields(_facts(found), width)
    for note in found.notes:
        lines += bullet(note, width)
    for title, part in _parts(found, width):
        lines += [line(""), heading(title), *part] if part else []
    style = "bold green" if found.is_same else "bold"
    return [*lines, line(""), *paragraph(verdict(found), width, style=style)]


def verdict(found: Difference) -> str:
    """Say in one sentence whether the two are the same, or how much of them differs."""
    if not found.adapts_alike:
        how_much = [*_how_much(found)] or ["another number of trained parameters"]
        return f"They differ: {'; '.join([*how_much, *_alike(found)])}."
    what = _what(found.alike, found.a)
    same = f"{what} at the same ranks and scales" if what else "both adapt no module"
    spelled = f"the spelling differs: {_short_list(found.spelling)}"
    trained = f"the training differs: {_short_list(found.training)}"
    rest = (
        [*([] if found.is_spelled_alike else [spelled]), trained]
        if not found.trains_alike
        else ["spelled alike" if found.is_spelled_alike else f"only {spelled}"]
    )
    return f"The same: {same}; {'; '.join(rest)}."


def _facts(found: Difference) -> Iterator[tuple[str, str]]:
    sides = {"A": found.a, "B": found.b}
    models = dict.fromkeys(_model_lines(side) for side in sides.values())
    if len(models) == 1:
        described, *notes = next(iter(models))
        yield "model", described
        yield from (("", note) for note in notes)
    for label, side in sides.items():
        yield label, side.origin
        if len(models) > 1:
            yield from (("", text) for text in _model_lines(side))
        yield "", _trained(side)
    change = found.b.match.trainable_params - found.a.match.trainable_params
    signed = f"{change:+,}".replace("-", _MINUS)
    yield f"B {_MINUS} A", f"{signed} trained parameters" if change else ""


def _model_lines(side: Configured) -> tuple[str, ...]:
    model = side.inventory.model
    described = f"{model.reference} ({model.cls}, {short(model.total_params)} parameters)"
    return (described, *(note for note in model.notes if "stands in" in note))


def _what(targets: Iterable[Adaptation | MatchedTarget], side: Configured) -> str:
    return adapted_text(targets, side.inventory)


def _trained(side: Configured) -> str:
    total = side.inventory.model.total_params
    what = _what(side.match.targets, side) or "no module"
    return f"{what}; {trainable_text(side.match.trainable_params, total)}"


def _parts(found: Difference, width: int) -> Iterator[tuple[str, list[Line]]]:
    for name, side, only in (("A", found.a, found.only_a), ("B", found.b, found.only_b)):
        rows = [(each.path, _traits(each)) for each in only]
        part = targets_table(rows, width) if rows else []
        yield f"Only in {name}: {_what(only, side)}", part
    what = _what((each.a for each in found.changed), found.a)
    yield f"In both, otherwise in B: {what}", _changed_table(found.changed, width)
    yield "Beside the adapters", fields(_besides(found), width)
    yield "Training", _fields_table(found.training, width)
    title = "Spelling" if found.adapts_alike else "Fields"
    yield title, _fields_table(found.spelling, width)


def _traits(each: Adaptation) -> Traits:
    return Traits(each.role, each.rank, each.alpha, each.scaling, each.params)


def _changed_table(changed: Sequence[Changed], width: int) -> list[Line]:
    """Lay out what both adapt, with `8 → 16` wherever the two differ."""
    if not changed:
        return []
    alike: dict[tuple[Traits, Traits, str], list[str]] = {}
    for each in changed:
        key = (_traits(each.a), _traits(each.b), _variants(each))
        alike.setdefault(key, []).append(each.a.path)
    with_variants = any(variants for _, _, variants in alike)
    rows: list[Row | Heading] = []
    for (a, b, variants), paths in in_role_order(alike, lambda key: key[0]):
        for pattern in fold(paths):
            cells = (
                a.role,
                pattern.text,
                exact(pattern.count),
                _arrow(a.rank, b.rank, str),
                _arrow(a.alpha, b.alpha, plain),
                _arrow(a.scale, b.scale, lambda scale: f"{scale:.4g}"),
                _arrow(a.params * pattern.count, b.params * pattern.count, exact),
            )
            rows.append(Row((*cells, variants) if with_variants else cells))
    params = (sum(each.a.params for each in changed), sum(each.b.params for each in changed))
    total = ("", "total", exact(len(changed)), "", "", "", _arrow(*params, exact))
    rows.append(Row((*total, "") if with_variants else total, "bold"))
    columns = (*COLUMNS, _VARIANTS) if with_variants else COLUMNS
    return table(columns, rows, width, name_column=_NAME)


def _variants(each: Changed) -> str:
    if each.a.variants == each.b.variants:
        return ""
    a, b = (", ".join(side.variants) or "nothing" for side in (each.a, each.b))
    return f"{a} → {b}"


def _arrow(a: Any, b: Any, text: Callable[[Any], str]) -> str:
    before, after = text(a), text(b)
    if a != b and before == after:  # alike in the digits that are shown
        before, after = repr(a), repr(b)
    return before if before == after else f"{before} → {after}"


def _besides(found: Difference) -> Iterator[tuple[str, str]]:
    label = "saved whole"
    for side, saved in (("A", found.saved_only_a), ("B", found.saved_only_b)):
        if saved:
            yield label, f"only in {side}: {_saved_text(saved)}"
            label = ""
    label = "tokens"
    for tokens in found.tokens:
        yield label, _tokens_text(tokens)
        label = ""
    if found.has_other_biases:
        yield "biases", f"{_biases_text(found.a)} → {_biases_text(found.b)}"


def _saved_text(saved: Iterable[SavedModule]) -> str:
    by_size: dict[int, list[str]] = {}
    for each in saved:
        by_size.setdefault(each.params, []).append(each.path)
    return ", ".join(
        f"{pattern.text} ({exact(params * pattern.count)})"
        for params, paths in by_size.items()
        for pattern in fold(paths)
    )


def _tokens_text(tokens: TokensChanged) -> str:
    a, b = set(tokens.a), set(tokens.b)
    parts = (
        f"{_rows_text(sorted(rows))} only in {side}"
        for side, rows in (("A", a - b), ("B", b - a))
        if rows
    )
    return f"{tokens.path}: {', '.join(parts)}"


def _rows_text(rows: Sequence[int]) -> str:
    if len(rows) > _MOST_ROWS_NAMED:
        return counted(len(rows), "row")
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows))}"


def _biases_text(side: Configured) -> str:
    params = side.match.bias_params
    return f"{exact(params)} ({side.spec.bias})" if params else "none"


def _fields_table(differences: Sequence[FieldDifference], width: int) -> list[Line]:
    if not differences:
        return []
    rows = [
        Row((each.field, _value(each.a, each.b), _value(each.b, each.a))) for each in differences
    ]
    return table(_FIELDS, rows, width)


def _value(value: Any, other: Any) -> str:
    """Write a field's value, or where that is long what it is and what the other has not."""
    if value is None or value in ((), {}):
        return "–"
    text = value if isinstance(value, str) else json.dumps(plain_json(value), ensure_ascii=False)
    if len(text) <= _LONGEST_VALUE:
        return text
    if isinstance(value, str):
        return f"{text[:_LONGEST_VALUE]}…"
    if isinstance(value, tuple) and isinstance(other, tuple):
        own = [str(each) for each in value if each not in other]
        named = ", ".join(pattern.text for pattern in fold(own))
        more = f": {named}" if own and len(named) <= _LONGEST_VALUE else ""
        count = "all" if len(own) == len(value) else exact(len(own))
        return f"{_form(value)}, {count} only here{more}"
    return _form(value)


def _form(value: Any) -> str:
    """Say what a field's value is, without the value if that could be long."""
    if value is None or value in ((), {}):
        return "nothing"
    if isinstance(value, str):
        is_word = value.replace("-", "_").isidentifier()
        return value if is_word else "regular expression"
    if isinstance(value, (tuple, list)):
        is_full = len(value) > 1 and all(str(each).count(".") > 1 for each in value)
        return f"{len(value)} full names" if is_full else f"list of {len(value)}"
    if hasattr(value, "items"):
        return f"{len(value)} given"
    return plain(value) if isinstance(value, float) else json.dumps(plain_json(value))


def _short_list(differences: Iterable[FieldDifference]) -> str:
    listed = [f"{each.field} ({_form(each.a)} / {_form(each.b)})" for each in differences]
    more = len(listed) - _MOST_FIELDS_NAMED
    if more > 1:
        listed[_MOST_FIELDS_NAMED:] = [f"{more} more"]
    return ", ".join(listed)


def _how_much(found: Difference) -> Iterator[str]:
    if found.only_a:
        yield f"{_what(found.only_a, found.a)} only in A"
    if found.only_b:
        yield f"{_what(found.only_b, found.b)} only in B"
    if found.changed:
        aspects = [aspect for each in found.changed for aspect in each.aspects]
        words = [_ASPECTS[aspect] for aspect in _ASPECTS if aspect in aspects]
        what = _what((each.a for each in found.changed), found.a)
        yield f"{what} with other {_listed(words)}"
    if found.saved_only_a or found.saved_only_b:
        yield "other modules saved whole"
    if found.tokens:
        yield "other trained tokens"
    if found.has_other_biases:
        yield "other trained biases"
    if not found.trains_alike:
        yield f"other {_listed([each.field for each in found.training])}"


_ASPECTS = {"rank": "rank", "scale": "scale", "variants": "variant", "params": "parameters"}
"""Aspect → word of the verdict. Parameters follow from rank; alpha, from rank and scale."""


def _listed(words: Sequence[str]) -> str:
    if len(words) > 1 and words[-1] == "parameters":
        words = words[:-1]
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]


def _alike(found: Difference) -> Iterator[str]:
    if found.alike:
        yield f"{_what(found.alike, found.a)} adapted alike"
