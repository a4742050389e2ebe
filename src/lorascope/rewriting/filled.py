"""Factors of zeros where an engine wants some: they change nothing but that it loads the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lorascope.checking.stored_fit import PREFIX
from lorascope.core.adaptation import Change, Step
from lorascope.core.errors import AdapterError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.numbers import counted
from lorascope.core.paths import joined
from lorascope.core.roles import Kind
from lorascope.rewriting.pairs import LINEAR, Content, Pair
from lorascope.serving.adapter_forms import AdapterForm

_LINEARS = (Kind.LINEAR, Kind.CONV1D)


def filled(
    content: Content, form: AdapterForm, model: Inventory, title: str
) -> tuple[Content, Change | None]:
    """Add what the engine wants to be adapted beside what is.

    Raises:
        AdapterError: It wants a projection in every layer, and the model has it in some only.
    """
    present = {pair.path for pair in content.pairs}
    wanted = list(_joined_siblings(content, form, model))
    if form.even_layers:
        wanted += _other_layers(content, model, title)
    added = dict.fromkeys(module.path for module in wanted if module.path not in present)
    if not added:
        return content, None
    zeros = tuple(_zeros(model.by_path[path]) for path in added)
    names = ", ".join(dict.fromkeys(path.rpartition(".")[2] for path in added))
    text = f"{counted(len(added), 'module')} ({names}) got factors of zeros, which {title} wants."
    pairs = (*content.pairs, *zeros)
    order = {module.path: place for place, module in enumerate(model.modules)}
    pairs = tuple(sorted(pairs, key=lambda pair: order.get(pair.path, -1)))
    return replace(content, pairs=pairs), Change(Step.FILLED, text, tuple(added))


def _joined_siblings(content: Content, form: AdapterForm, model: Inventory) -> Iterator[Module]:
    for pair in content.pairs:
        holder, _, name = pair.path.rpartition(".")
        for group in form.together:
            if name in group.any:
                siblings = (model.by_path.get(joined(holder, other)) for other in group.all)
                yield from (each for each in siblings if each and each.kind in _LINEARS)


def _other_layers(content: Content, model: Inventory, title: str) -> Iterator[Module]:
    adapted = [model.by_path[pair.path] for pair in content.pairs if pair.path in model.by_path]
    names = {(m.tower, m.name) for m in adapted if m.layer is not None and m.kind in _LINEARS}
    for tower, name in names:
        layers = {m.layer for m in model.modules if m.tower is tower and m.layer is not None}
        found = [
            module
            for module in model.modules
            if module.tower is tower and module.name == name and module.layer is not None
        ]
        found = [module for module in found if module.kind in _LINEARS]
        lacking = sorted(layers - {module.layer for module in found})
        if lacking:
            raise AdapterError(
                f"{title} serves LoRA on {name} only if every layer has it, and "
                f"{len(lacking)} of {len(layers)} layers of {model.model.reference} have none.",
                "Merge the adapter into the model (merge_and_unload) and serve that.",
            )
        yield from found


def _zeros(module: Module) -> Pair:
    return Pair(
        path=module.path,
        stem=f"{PREFIX}{module.path}",
        ends=LINEAR,
        inputs=(module.in_features or 0,),
        outputs=module.out_features or 0,
    )
