"""What `modules_to_save` copies, matched on the model after LoRA's layers are in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from lorascope.core.errors import SpecificationError
from lorascope.core.paths import parent_path
from lorascope.matching.injected import (
    Node,
    NodeType,
    all_tensors,
    find,
    named_nodes,
    put_saved,
    set_trainable,
    unfold_lora,
)
from lorascope.matching.names import Endings, ancestors
from lorascope.matching.result import SavedModule

_FEW = 50
"""Entries up to which each path is compared with all of them."""


def save_modules(
    root: Node, entries: Sequence[str], *, tied_to: Node | None = None
) -> list[SavedModule]:
    """Wrap every module that an entry names, as PEFT does; return those newly wrapped.

    An entry names a module if the full name ends with it: letter by letter, so that `proj` names
    `q_proj`. All names of a module count, also those of PEFT's own layers.

    Source: peft 0.21.2, `_set_trainable` in `utils/other.py`.

    Args:
        root: The model, changed in place.
        entries: `modules_to_save`.
        tied_to: A copy whose weight the new ones share (`ensure_weight_tying`).

    Raises:
        SpecificationError: An entry names what PEFT cannot copy.
    """
    saved: list[SavedModule] = []
    saved_paths: set[str] = set()
    if not entries:
        return saved
    unfold_lora(root, entries)
    paths = [path for path, _ in named_nodes(root, duplicates=True)]
    for path, entry in _named(paths, entries):
        wrapper = _existing_wrapper(root, path, entry)
        if wrapper is not None:
            set_trainable(wrapper.children["original_module"], False)
            set_trainable(wrapper.children["modules_to_save"].children["default"], True)
            continue
        copied = put_saved(root, path, tied_to=tied_to)
        inside = any(above in saved_paths for above in ancestors(path))
        saved_paths.add(path)
        added = 0 if inside or tied_to is not None else _elements(copied)
        saved.append(SavedModule(path=path, params=added, entry=entry))
    return saved


def _named(paths: Sequence[str], entries: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the paths that end with an entry, in order, each with the first that it ends with."""
    if len(entries) <= _FEW:
        endings = tuple(entries)
        for path in paths:
            if path.endswith(endings):
                yield path, next(entry for entry in entries if path.endswith(entry))
        return
    known = Endings(paths)
    first: dict[int, str] = {}
    for entry in entries:
        for place in known.places(entry):
            first.setdefault(place, entry)
    for place, entry in sorted(first.items()):
        yield paths[place], entry


def _existing_wrapper(root: Node, path: str, entry: str) -> Node | None:
    """Return the wrapper that already covers `path`; None if it is to be wrapped."""
    parent = parent_path(path)
    grandparent = find(root, parent_path(parent)) if "." in path else root
    target = find(root, path)
    if target is None or not path:
        raise SpecificationError(
            f"modules_to_save: {entry!r} names {path!r}, which PEFT cannot find any more after it "
            "wrapped another entry.",
            "Name the modules by their full names.",
        )
    if grandparent is not None and grandparent.type.is_lora:
        raise SpecificationError(
            f"modules_to_save: {entry!r} names {path!r}, a part of PEFT's own LoRA layer, since "
            "entries are matched letter by letter at the end of a name.",
            "Name the modules by their full names.",
        )
    if grandparent is not None and grandparent.type is NodeType.SAVED:
        return grandparent
    if target.type is NodeType.SAVED:
        return target
    if target.type is NodeType.COLLECTION:
        raise SpecificationError(
            f"modules_to_save cannot be applied to {path!r}, which {entry!r} names: it is a list "
            "or dictionary of modules or parameters and is never called itself.",
            "Name the modules inside it.",
        )
    if target.type.is_lora:
        raise SpecificationError(
            f"modules_to_save cannot be applied to {path!r}, which {entry!r} names: LoRA adapts "
            "it as well (entries of modules_to_save are matched letter by letter at the end of a "
            "name, and some task types add their head to them).",
            "Name it in one of the two only; exclude_modules keeps LoRA away from it.",
        )
    return None


def _elements(node: Node) -> int:
    return sum(prod(tensor.shape) for tensor in all_tensors(node))
