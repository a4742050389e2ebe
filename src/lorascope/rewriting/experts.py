"""Routed experts: from the stacked factors of transformers 5 to one pair each, and back.

Adapters are read into the stacked form, whichever they have, see `trained`; this writes the form
that an engine wants. Neither changes a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lorascope.checking.stored_fit import PREFIX
from lorascope.core.adaptation import Change, Step
from lorascope.core.errors import AdapterError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.numbers import counted
from lorascope.core.paths import joined, parent_path
from lorascope.core.roles import Kind
from lorascope.matching.expert_rewrite import FUSED
from lorascope.rewriting.layouts import ExpertLayout, expert_layout
from lorascope.rewriting.pairs import LINEAR, Content, Pair, taken

_DOWN = "down_proj"


def stacks(content: Content, model: Inventory) -> Mapping[str, Pair]:
    """Return the pairs of stacked expert parameters by path."""
    return {
        pair.path: pair
        for pair in content.pairs
        if (module := model.by_path.get(pair.path)) is not None
        and module.kind is Kind.EXPERT_PARAMETER
    }


def to_single(content: Content, model: Inventory) -> tuple[Content, Change | None]:
    """Give each projection of each expert a pair of its own, named as in transformers 4.

    What stands beside the experts (a router) gets that name too.

    Raises:
        AdapterError: The names are not known for this type of model.
    """
    stacked = stacks(content, model)
    if not stacked:
        return content, None
    layout = expert_layout(model.model.model_type)
    if layout is None:
        raise AdapterError(
            f"How single experts of {model.model.model_type} are named is not known, and the "
            "engine wants one pair of factors for each.",
            "Merge the adapter into the model (merge_and_unload) and serve that, or leave the "
            "experts out with --drop expert_parameters.",
        )
    holders = {parent_path(path) for path in stacked}
    pairs = tuple(
        each
        for pair in content.pairs
        for each in (
            _single(pair, layout)
            if pair.path in stacked
            else (_renamed_beside(pair, holders, layout),)
        )
    )
    made = len(pairs) - len(content.pairs) + len(stacked)
    text = (
        f"{counted(len(stacked), 'stacked expert parameter')} written as {made:,} projections of "
        "single experts."
    )
    return replace(content, pairs=pairs), Change(Step.EXPERTS, text, tuple(stacked))


def to_stacked(content: Content, model: Inventory) -> tuple[Content, Change | None]:
    """Give both parameters of adapted experts a pair, under the names that PEFT gives to both.

    An engine that reads stacked factors tells the two apart by `base_layer` in the name, which
    PEFT leaves out where only one is adapted.
    """
    stacked = stacks(content, model)
    if not stacked:
        return content, None
    pairs: list[Pair] = []
    added: list[str] = []
    for pair in content.pairs:
        if pair.path not in stacked:
            pairs.append(pair)
            continue
        pairs.append(replace(pair, stem=_stem(pair.path)))
        other = model.by_path.get(_other(pair.path))
        if other is not None and other.path not in stacked:
            pairs.append(_zeros(other))
            added.append(other.path)
    if not added:
        return replace(content, pairs=tuple(pairs)), None
    text = f"{counted(len(added), 'expert parameter')} beside adapted ones got factors of zeros."
    return replace(content, pairs=tuple(pairs)), Change(Step.FILLED, text, tuple(added))


def single_experts(content: Content) -> tuple[str, ...]:
    """Return the stacked parameters that the adapter has as single experts."""
    singles = (
        (pair.path, part.factors.path)
        for pair in content.pairs
        if len(pair.experts) > 1
        for part in pair.parts
    )
    return tuple(dict.fromkeys(path for path, trained in singles if trained != path))


def _single(pair: Pair, layout: ExpertLayout) -> Iterator[Pair]:
    holder = layout.old_holder(parent_path(pair.path))
    for expert, parts in enumerate(pair.experts):
        for name, rows in layout.pieces(pair.path.rpartition(".")[2], pair.outputs):
            path = f"{holder}.{expert}.{name}"
            yield Pair(
                path=path,
                stem=f"{PREFIX}{path}",
                ends=LINEAR,
                inputs=pair.inputs,
                outputs=len(rows),
                experts=(taken(parts, rows),),
                adapts=pair.path,
            )


def _renamed_beside(pair: Pair, holders: set[str], layout: ExpertLayout) -> Pair:
    for holder in holders:
        inside = f"{parent_path(holder)}."
        if pair.path.startswith(inside):
            old = f"{parent_path(layout.old_holder(holder))}."
            return replace(
                pair,
                path=old + pair.path.removeprefix(inside),
                stem=PREFIX + old + pair.stem.removeprefix(PREFIX + inside),
                adapts=pair.path,
            )
    return pair


def _stem(path: str) -> str:
    holder, _, name = path.rpartition(".")
    return f"{PREFIX}{holder}.base_layer" if name == FUSED else f"{PREFIX}{holder}"


def _other(path: str) -> str:
    holder, _, name = path.rpartition(".")
    return joined(holder, _DOWN if name == FUSED else FUSED)


def _zeros(module: Module) -> Pair:
    return Pair(
        path=module.path,
        stem=_stem(module.path),
        ends=LINEAR,
        inputs=(module.in_features or 0,),
        outputs=module.out_features or 0,
        experts=((),) * (module.experts or 1),
        is_parameter=True,
    )
