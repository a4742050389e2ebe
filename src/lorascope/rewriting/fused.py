"""Take fused projections apart, and put projections together; both exactly.

A fused projection of rank r becomes parts of rank r that share A and have the rows of B. Parts of
ranks r₁, r₂, … become one of rank r₁ + r₂ + …: A on top of A, B as blocks on the diagonal.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lorascope.core.adaptation import Change, Step
from lorascope.core.errors import AdapterError
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted
from lorascope.core.paths import joined, parent_path
from lorascope.core.roles import Role
from lorascope.rewriting.layouts import fused_parts
from lorascope.rewriting.pairs import LINEAR, Content, Pair, Part, moved, taken
from lorascope.serving.support import Support


@dataclass(frozen=True, slots=True)
class Fusion:
    """A fused projection and its parts, as a user names them."""

    name: str
    """Last part of the path of the fused one."""
    parts: tuple[str, ...]
    """Names of the parts, in the order of their rows; empty for those that are known."""
    rows: tuple[int, ...] = ()
    """How many rows each has; empty if the model says so."""


def splits_for(content: Content, support: Support, model: Inventory) -> tuple[Fusion, ...]:
    """Return the fused projections that an engine's class of the model has in parts only.

    For example vLLM's Glm4ForCausalLM takes `gate_proj` and `up_proj` where transformers has
    `gate_up_proj`. Those whose rows are not known are left as they are.
    """
    cls = support.model_class
    if cls is None or cls.takes is None or not cls.packed:
        return ()
    found = []
    for name in dict.fromkeys(map(_name, content.pairs)):
        parts = cls.packed.get(name, ())
        known = fused_parts(model.model.model_type, name)
        if name not in cls.takes and known and known == parts:
            found.append(Fusion(name, parts))
    return tuple(found)


def read_fusion(text: str) -> Fusion:
    """Read `qkv_proj`, `qkv_proj=q_proj,k_proj,v_proj` or `…=q_proj:64,k_proj:16,v_proj:16`.

    Raises:
        AdapterError: It is something else.
    """
    form = r"([\w-]+)(?:=([\w-]+(?::\d{1,9})?(?:,[\w-]+(?::\d{1,9})?)+))?"
    read = re.fullmatch(form, text.replace(" ", ""))
    listed = [] if read is None or not read[2] else [p.split(":") for p in read[2].split(",")]
    counts = [int(each[1]) for each in listed if len(each) > 1]
    if read is None or len(counts) not in (0, len(listed)):
        raise AdapterError(
            f"{text!r} names no fused projection and its parts.",
            "Expected for example qkv_proj=q_proj,k_proj,v_proj or, with the rows of each, "
            "qkv_proj=q_proj:4096,k_proj:1024,v_proj:1024.",
        )
    parts = tuple(each[0] for each in listed)
    twice = [part for part, times in Counter((read[1], *parts)).items() if times > 1]
    if twice:
        raise AdapterError(
            f"{text!r} names {', '.join(twice)} twice.",
            "A fused projection and its parts have different names.",
        )
    return Fusion(read[1], parts, tuple(counts))


def split(content: Content, fusion: Fusion, model: Inventory) -> tuple[Content, Change]:
    """Replace each pair of a fused projection by one pair for each of its parts.

    Args:
        content: Named as `model` is.
        fusion: Which projection, and into what.
        model: The model that is served.

    Raises:
        AdapterError: None is adapted, or its rows are not known.
    """
    parts = fusion.parts or fused_parts(model.model.model_type, fusion.name)
    if not parts:
        raise AdapterError(
            f"What {fusion.name} of {model.model.model_type} consists of is not known.",
            f"Name it: --split {fusion.name}=q_proj:ROWS,k_proj:ROWS,v_proj:ROWS",
        )
    pairs: list[Pair] = []
    paths = []
    for pair in content.pairs:
        if _name(pair) != fusion.name or pair.ends != LINEAR or pair.is_parameter or pair.beyond:
            pairs.append(pair)
            continue
        paths.append(pair.path)
        start = 0
        for name, count in zip(parts, _rows(pair, fusion, parts, model), strict=True):
            rows = range(start, start + count)
            start += count
            pairs.append(
                replace(
                    _beside(pair, name),
                    outputs=count,
                    experts=tuple(taken(expert, rows) for expert in pair.experts),
                )
            )
    if not paths:
        raise AdapterError(f"No {fusion.name} is adapted, so that none can be split.")
    _check_places(pairs)
    what = f"{counted(len(paths), 'pair')} of {fusion.name}"
    text = f"{what} split into {', '.join(parts)}: A copied, B cut."
    return replace(content, pairs=tuple(pairs)), Change(Step.SPLIT, text, tuple(paths))


def pack(content: Content, fusion: Fusion, model: Inventory) -> tuple[Content, Change]:
    """Replace the pairs of the parts of a fused projection by one pair of the whole.

    Parts that are not adapted get zeros.

    Raises:
        AdapterError: None is adapted, or the rows of one that is not adapted are not known.
    """
    by_holder: dict[str, dict[str, Pair]] = {}
    for pair in content.pairs:
        if _name(pair) in fusion.parts and pair.ends == LINEAR and not pair.is_parameter:
            by_holder.setdefault(parent_path(pair.path), {})[_name(pair)] = pair
    if not by_holder:
        raise AdapterError(
            f"None of {', '.join(fusion.parts) or fusion.name} is adapted, so that none can be "
            "packed.",
            f"Expected for example --pack {fusion.name}=q_proj,k_proj,v_proj",
        )
    whole = {holder: _packed(holder, parts, fusion, model) for holder, parts in by_holder.items()}
    pairs = []
    for pair in content.pairs:
        holder = parent_path(pair.path)
        if pair is not by_holder.get(holder, {}).get(_name(pair)):
            pairs.append(pair)
        elif holder in whole:
            pairs.append(whole.pop(holder))
    _check_places(pairs)
    paths = tuple(joined(holder, fusion.name) for holder in by_holder)
    parts = ", ".join(fusion.parts)
    made = counted(len(paths), "pair")
    text = f"{parts} packed into {made} of {fusion.name}: A stacked, B in blocks."
    return replace(content, pairs=tuple(pairs)), Change(Step.PACKED, text, paths)


def _packed(holder: str, parts: Mapping[str, Pair], fusion: Fusion, model: Inventory) -> Pair:
    first = next(iter(parts.values()))
    start = 0
    made: list[Part] = []
    for number, name in enumerate(fusion.parts):
        pair = parts.get(name)
        if pair is not None:
            if pair.inputs != first.inputs:
                raise AdapterError(
                    f"{pair.path} reads {pair.inputs[0]} features and {first.path} "
                    f"{first.inputs[0]}; what is packed has to read the same."
                )
            made += moved(pair.experts[0], start)
            start += _agreed(pair.path, fusion, number, pair.outputs) or 0
            continue
        path = joined(holder, name)
        rows = getattr(model.by_path.get(path), "out_features", None)
        rows = _agreed(path, fusion, number, rows)
        if not rows:
            raise AdapterError(
                f"{path} is not adapted and not in {model.model.reference}, so "
                "that its rows are not known.",
                f"Say how many each has: --pack {fusion.name}={name}:ROWS,…",
            )
        start += rows
    whole = model.by_path.get(joined(holder, fusion.name))
    if whole is not None and whole.out_features != start:
        raise AdapterError(
            f"{whole.path} of {model.model.reference} has {whole.out_features or 0:,} rows, and "
            f"{', '.join(fusion.parts)} together {start:,}.",
            "Name all parts, in the order of their rows.",
        )
    return replace(_beside(first, fusion.name), outputs=start, experts=(tuple(made),))


def _agreed(path: str, fusion: Fusion, number: int, real: int | None) -> int | None:
    """Return how many rows a part has: as a user says, if that is not known to be wrong."""
    if not fusion.rows:
        return real
    if real and real != fusion.rows[number]:
        raise AdapterError(
            f"{path} has {real:,} rows, and {fusion.rows[number]:,} are given.",
            f"Give --pack {fusion.name}={','.join(fusion.parts)} without rows.",
        )
    return fusion.rows[number]


def _check_places(pairs: Sequence[Pair]) -> None:
    """Refuse two pairs of one name."""
    twice = [path for path, times in Counter(pair.path for pair in pairs).items() if times > 1]
    if twice:
        raise AdapterError(
            f"{twice[0]} is adapted already, so that nothing else can have its name.",
            "Give the fused projection and its parts other names.",
        )


def _rows(pair: Pair, fusion: Fusion, parts: Sequence[str], model: Inventory) -> tuple[int, ...]:
    if fusion.rows:
        rows = fusion.rows
    elif tuple(parts) != fused_parts(model.model.model_type, fusion.name):
        raise AdapterError(
            f"How the rows of {pair.path} are laid out is not known for {model.model.model_type}.",
            f"Say how many each part has: --split {fusion.name}={parts[0]}:ROWS,…",
        )
    elif len(parts) == 2:
        rows = (pair.outputs // 2, pair.outputs - pair.outputs // 2)
    else:
        rows = _attention_rows(pair, model)
    if sum(rows) != pair.outputs or min(rows) < 1:
        raise AdapterError(
            f"{pair.path} has {pair.outputs:,} rows, and its parts together {sum(rows):,}."
        )
    return rows


def _attention_rows(pair: Pair, model: Inventory) -> tuple[int, ...]:
    """Queries have the rows that the output projection reads; keys and values share the rest."""
    inside = f"{parent_path(pair.path)}."
    closing = [
        module.in_features
        for path, module in model.by_path.items()
        if path.startswith(inside) and module.role is Role.ATTENTION_O and module.in_features
    ]
    if len(closing) != 1:
        raise AdapterError(
            f"No output projection beside {pair.path} tells how many rows its queries have.",
            "Say how many each part has: --split qkv_proj=q_proj:ROWS,k_proj:ROWS,v_proj:ROWS",
        )
    rest = pair.outputs - closing[0]
    return closing[0], rest // 2, rest - rest // 2


def _name(pair: Pair) -> str:
    return pair.path.rpartition(".")[2]


def _beside(pair: Pair, name: str) -> Pair:
    """Return a pair under another name in the same module."""
    stem = f"{parent_path(pair.stem)}.{name}"
    return replace(pair, path=joined(parent_path(pair.path), name), stem=stem)
