"""What `trainable_token_indices` trains: single rows of embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching.injected import (
    Node,
    NodeType,
    Tensor,
    base_path,
    find,
    named_nodes,
    put_tokens,
    trained_layer,
    unfold_lora,
)
from lorascope.matching.result import TrainedTokens

Indices = tuple[int, ...]


def train_tokens(
    root: Node, inventory: Inventory, spec: LoraSpec
) -> tuple[list[TrainedTokens], list[str]]:
    """Wrap the embeddings whose rows are trained; return them, and what PEFT warns of.

    Source: peft 0.21.2, `set_additional_trainable_modules` in `utils/other.py`, and
    `tuners/trainable_tokens/layer.py`.

    Raises:
        SpecificationError: PEFT refuses this, or finds no such layer.
    """
    if spec.trainable_token_indices is None:
        return [], []
    model = inventory.model
    layers = _layers(root, spec, model.input_embedding)
    _check_not_saved(layers, spec)
    tied = bool(model.tie_word_embeddings)
    skipped, mismatch = _tied_layers(layers, inventory, spec) if tied else (frozenset(), False)
    trained: list[TrainedTokens] = []
    for name, indices in layers.items():
        if name not in skipped:
            trained.extend(_wrap(root, inventory, name, indices))
    source = None if model.input_embedding is None else find(root, model.input_embedding)
    keep_tied = tied and (spec.ensure_weight_tying or not mismatch)
    if keep_tied and source is not None and source.type is NodeType.TOKENS:
        rows = source.children["token_adapter"].children["trainable_tokens_delta"]
        for name in model.tied_to_embedding:
            trained.extend(_wrap_tied(root, name, rows.tensors["default"]))
    warnings = []
    if spec.ensure_weight_tying and not tied:
        warnings.append(
            "ensure_weight_tying is set but the model's config has tie_word_embeddings false, so "
            "the trained tokens are not tied."
        )
    return trained, warnings


def _layers(root: Node, spec: LoraSpec, input_embedding: str | None) -> Mapping[str, Indices]:
    stated = spec.trainable_token_indices
    if isinstance(stated, Mapping):
        return stated
    # PEFT looks for the name under which the embedding now is, maybe inside a saved copy.
    embedding = None if input_embedding is None else find(root, input_embedding)
    name = next((path for path, node in named_nodes(root) if node is embedding), "embed_tokens")
    return {name: stated or ()}


def _check_not_saved(layers: Mapping[str, Indices], spec: LoraSpec) -> None:
    for name in layers:
        if name in (spec.modules_to_save or ()):
            raise SpecificationError(
                f"The layer {name!r} is in modules_to_save, so it is already marked to be trained "
                "fully; trainable_token_indices names it too.",
                "Name it in one of the two.",
            )


def _tied_layers(
    layers: Mapping[str, Indices], inventory: Inventory, spec: LoraSpec
) -> tuple[frozenset[str], bool]:
    """Return the layers that are left to weight tying, and whether tied ones disagree."""
    if len(layers) < 2:
        return frozenset(), False
    embedding = inventory.model.input_embedding or ""
    tied_modules = inventory.model.tied_to_embedding
    tied = [
        name
        for name in layers
        if embedding.endswith(name)
        or any(each.endswith(name) or name in each.split(".") for each in tied_modules)
    ]
    if len(tied) < 2:
        return frozenset(), False
    mismatch = any(tuple(layers[name]) != tuple(layers[tied[0]]) for name in tied[1:])
    if mismatch and spec.ensure_weight_tying:
        raise SpecificationError(
            "ensure_weight_tying: PEFT cannot ensure weight tying when different token indices "
            f"are specified for the tied layers {', '.join(map(repr, tied))}.",
            "Give all of them the same indices.",
        )
    return (frozenset() if mismatch else frozenset(tied) & frozenset(tied_modules)), mismatch


def _wrap(root: Node, inventory: Inventory, name: str, indices: Indices) -> list[TrainedTokens]:
    found: list[TrainedTokens] = []
    named = _ending_with(root, name)
    for path in named:
        target = find(root, path)
        if target is not None and target.type is NodeType.TOKENS:
            continue
        weight = _weight(target, path, inventory)
        _check_indices(path, indices, weight.shape[0])
        rows = Tensor((len(indices), *weight.shape[1:]), trainable=True)
        put_tokens(root, path, rows)
        found.append(TrainedTokens(path=path, tokens=len(indices), params=prod(rows.shape)))
    if not named:
        raise SpecificationError(
            f"trainable_token_indices: target module {name!r} not found in the base model.",
            "Name the embedding by its full name.",
        )
    return found


def _wrap_tied(root: Node, name: str, rows: Tensor) -> list[TrainedTokens]:
    """Let the rows of the embedding count for a module that shares its weight, too."""
    target = find(root, name)
    if target is not None and target.type.is_lora:
        # PEFT finds the tied weight inside the LoRA layer and wraps the bare layer there.
        name = f"{name}.base_layer"
    found: list[TrainedTokens] = []
    for path in _ending_with(root, name):
        target = find(root, path)
        if target is None or target.type is NodeType.TOKENS:
            continue
        put_tokens(root, path, rows)
        found.append(TrainedTokens(path=path, tokens=rows.shape[0], params=0))
    return found


def _ending_with(root: Node, name: str) -> list[str]:
    unfold_lora(root, [name])
    return [path for path, _ in named_nodes(root, duplicates=True) if path.endswith(name)]


def _weight(target: Node | None, path: str, inventory: Inventory) -> Tensor:
    if target is not None and target.type.is_lora:
        raise SpecificationError(
            f"trainable_token_indices cannot be applied to {path!r}, which LoRA adapts as well.",
            "Exclude it with exclude_modules.",
        )
    module = inventory.by_path.get(base_path(path))
    weight = None
    if target is not None and target.type in (NodeType.PLAIN, NodeType.SAVED):
        weight = trained_layer(target).tensors.get("weight")
    if weight is None or module is None or module.kind not in (Kind.EMBEDDING, Kind.LINEAR):
        raise SpecificationError(f"trainable_token_indices names {path!r}, which is no embedding.")
    return weight


def _check_indices(path: str, indices: Indices, entries: int) -> None:
    beyond = [index for index in indices if not -entries <= index < entries]
    if beyond:
        raise SpecificationError(
            f"trainable_token_indices: {path!r} has {entries} entries, no index {beyond[0]}."
        )
