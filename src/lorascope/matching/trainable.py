"""What is trainable in the end: adapters, biases, saved modules and single tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.matching.adapting import Adapted
from lorascope.matching.injected import (
    Node,
    NodeType,
    Tensor,
    all_tensors,
    bare_layer,
    build_tree,
    find,
    named_nodes,
    named_tensors,
    put_lora,
    trainable_count,
)
from lorascope.matching.result import SavedModule, TrainedTokens
from lorascope.matching.saving import save_modules
from lorascope.matching.task_heads import late_heads
from lorascope.matching.tokens import train_tokens
from lorascope.matching.versions import Behaviour

_OUTER = "base_model.model"
"""Where the model is inside a `PeftModel`."""


@dataclass(frozen=True, slots=True)
class Trainable:
    """The sum, and what is trained beside the adapters."""

    params: int
    """As PEFT's `get_nb_trainable_parameters()[0]`."""
    bias_params: int = 0
    saved: tuple[SavedModule, ...] = ()
    tokens: tuple[TrainedTokens, ...] = ()
    warnings: tuple[str, ...] = ()


def count_trainable(
    inventory: Inventory,
    adapted: Sequence[Adapted],
    spec: LoraSpec,
    tied_saved: Sequence[str],
    behaviour: Behaviour,
) -> Trainable:
    """Count the trainable parameters that PEFT reports.

    Args:
        inventory: The bare model.
        adapted: What LoRA adapts, in PEFT's order.
        spec: As PEFT sees it by then.
        tied_saved: Modules whose saved copy shares the embedding's (`ensure_weight_tying`).
        behaviour: Of the PEFT release.

    Raises:
        SpecificationError: `modules_to_save` or `trainable_token_indices` name what PEFT refuses.
    """
    if _only_adapters(inventory, spec, tied_saved, behaviour):
        return Trainable(sum(each.target.params for each in adapted))
    root = build_tree(inventory)
    for each in adapted:
        put_lora(root, each.module, each.tensors, attention=each.attention)
    _freeze_base(root, keeps_lora=behaviour.lora_in_name_stays_trainable and _has_lora(inventory))
    biases = _train_biases(root, spec, behaviour)
    saved = save_modules(root, spec.modules_to_save or ())
    if tied_saved:
        saved += save_modules(root, tied_saved, tied_to=_saved_embedding(root, inventory))
    tokens, warnings = train_tokens(root, inventory, spec)
    saved += _save_again(root, spec)
    return Trainable(
        params=trainable_count(root),
        bias_params=sum(prod(tensor.shape) for tensor in biases if tensor.trainable),
        saved=tuple(saved),
        tokens=tuple(tokens),
        warnings=tuple(warnings),
    )


def _only_adapters(
    inventory: Inventory, spec: LoraSpec, tied_saved: Sequence[str], behaviour: Behaviour
) -> bool:
    if spec.modules_to_save or late_heads(spec.task_type) or tied_saved or spec.bias != "none":
        return False
    if spec.trainable_token_indices is not None:
        return False
    return not behaviour.lora_in_name_stays_trainable or not _has_lora(inventory)


def _has_lora(inventory: Inventory) -> bool:
    """Whether a parameter of the bare model is called as those of an adapter are."""
    return any(
        "lora_" in f"{module.path}.{parameter.name}"
        for module in inventory.modules
        for parameter in module.parameters
    )


def _freeze_base(root: Node, *, keeps_lora: bool) -> None:
    kept: set[int] = set()
    if keeps_lora:
        kept = {id(tensor) for name, tensor in named_tensors(root) if "lora_" in name}
    for tensor in all_tensors(root):
        if not tensor.is_adapter and id(tensor) not in kept:
            tensor.trainable = False


def _train_biases(root: Node, spec: LoraSpec, behaviour: Behaviour) -> list[Tensor]:
    """Make biases of the base model trainable; return them.

    Source: peft 0.21.2, `_mark_only_adapters_as_trainable` in `tuners/tuners_utils.py`.
    """
    if spec.bias == "none":
        return []
    if spec.bias == "all":
        biases = [
            tensor
            for name, tensor in named_tensors(root)
            if name.rpartition(".")[2] == "bias"
            or (behaviour.bias_all_matches_substring and "bias" in name)
        ]
    else:
        layers = (bare_layer(node) for _, node in named_nodes(root) if node.type.is_lora)
        biases = [layer.tensors["bias"] for layer in layers if "bias" in layer.tensors]
    biases = [tensor for tensor in dict.fromkeys(biases) if not tensor.is_adapter]
    for tensor in biases:
        tensor.trainable = True
    return biases


def _saved_embedding(root: Node, inventory: Inventory) -> Node:
    path = inventory.model.input_embedding
    wrapper = None if path is None else find(root, path)
    if wrapper is None or wrapper.type is not NodeType.SAVED:
        raise SpecificationError(
            "ensure_weight_tying: the input embedding is not among the saved modules, so there is "
            "nothing to tie to."
        )
    return wrapper.children["modules_to_save"].children["default"]


def _save_again(root: Node, spec: LoraSpec) -> list[SavedModule]:
    """PEFT's models for classification and question answering save their heads at the end.

    Source: peft 0.21.2, the constructors of these classes in `peft_model.py`.
    """
    heads = late_heads(spec.task_type)
    if not heads:
        return []
    outer = Node(children={"base_model": Node(children={"model": root})})
    entries = list(dict.fromkeys([*(spec.modules_to_save or ()), *heads]))
    saved = save_modules(outer, entries)
    return [replace(each, path=each.path.removeprefix(f"{_OUTER}.")) for each in saved]
