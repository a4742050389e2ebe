"""A light copy of the module tree in which PEFT's layers are put, to count what is trainable.

`modules_to_save`, `trainable_token_indices` and `bias` act on the model after LoRA's layers are
in it: they match the layers' own names too, copy modules with everything below, and share or
freeze tensors. Counting that needs the tree with its identities, not only names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum, auto
from math import prod

from lorascope.core.inventory import Inventory, Module
from lorascope.core.paths import joined, parent_path
from lorascope.core.roles import Kind
from lorascope.matching.counts import AdapterTensor

_COLLECTIONS = frozenset({"ModuleDict", "ModuleList", "ParameterDict", "ParameterList"})
_LORA_CHILDREN = (
    "lora_dropout",
    "lora_A",
    "lora_B",
    "lora_embedding_A",
    "lora_embedding_B",
    "lora_magnitude_vector",
)
"""Source: peft 0.21.2, `LoraLayer.__init__` in `tuners/lora/layer.py`, in its order."""


class NodeType(Enum):
    """What a node of the tree is to PEFT."""

    PLAIN = auto()
    COLLECTION = auto()
    """A ModuleList and the like, whose forward cannot be called."""
    LORA = auto()
    LORA_ATTENTION = auto()
    """LoRA around `nn.MultiheadAttention`: its `out_proj` is looked up in the bare layer."""
    SAVED = auto()
    """PEFT's wrapper of a module that `modules_to_save` names."""
    TOKENS = auto()
    """PEFT's wrapper of an embedding of which single rows are trained."""

    @property
    def is_lora(self) -> bool:
        """Whether PEFT counts it as one of its adapter layers."""
        return self in (NodeType.LORA, NodeType.LORA_ATTENTION)


@dataclass(eq=False, slots=True)
class Tensor:
    """One parameter, by identity."""

    shape: tuple[int, ...]
    trainable: bool
    is_adapter: bool = False


@dataclass(eq=False, slots=True)
class Node:
    """One module, by identity.

    A layer of LoRA holds the adapter's tensors itself, under names with dots
    (`lora_A.default.weight`), until `unfold_lora` makes modules of its inner parts: there may be
    thousands of layers, and hardly ever does anything name a part of one.
    """

    type: NodeType = NodeType.PLAIN
    children: dict[str, Node] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def child(self, name: str) -> Node | None:
        """Return the child as attribute access would find it; None if there is none."""
        if self.type is NodeType.LORA_ATTENTION and name == "out_proj":
            return bare_layer(self.children["base_layer"].children[name])
        found = self.children.get(name)
        if found is None and self.type is NodeType.SAVED:
            return self.children["modules_to_save"].children["default"].child(name)
        return found


def bare_layer(node: Node) -> Node:
    """Return what is inside all LoRA layers around it."""
    while "base_layer" in node.children:
        node = node.children["base_layer"]
    return node


def trained_layer(node: Node) -> Node:
    """Return the copy inside a wrapper of `modules_to_save`; any other node as it is."""
    while node.type is NodeType.SAVED:
        node = node.children["modules_to_save"].children["default"]
    return node


def base_path(path: str) -> str:
    """Return the path in the bare model of a module that is now inside PEFT's wrappers."""
    for part in (".modules_to_save.default", ".original_module"):
        path = path.replace(part, "")
    return path


def find(root: Node, path: str) -> Node | None:
    """Return the node at `path`; None if a part of it is missing."""
    node: Node | None = root
    for name in path.split(".") if path else ():
        node = None if node is None else node.child(name)
    return node


def named_nodes(root: Node, *, duplicates: bool = False) -> Iterator[tuple[str, Node]]:
    """Yield `(path, node)` as `named_modules(remove_duplicate=not duplicates)` does."""
    seen: set[int] = set()
    pending = [("", root)]
    while pending:
        path, node = pending.pop()
        if not duplicates:
            if id(node) in seen:
                continue
            seen.add(id(node))
        yield path, node
        pending.extend((joined(path, name), each) for name, each in reversed(node.children.items()))


def named_tensors(root: Node) -> Iterator[tuple[str, Tensor]]:
    """Yield `(name, tensor)` as `named_parameters()` does: each tensor once."""
    seen: set[int] = set()
    for path, node in named_nodes(root):
        for name, tensor in node.tensors.items():
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield joined(path, name), tensor


def all_tensors(root: Node) -> Iterable[Tensor]:
    """Return each tensor once, in no particular order; without their names it is quicker."""
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    pending = [root]
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for tensor in node.tensors.values():
            found[id(tensor)] = tensor
        pending.extend(node.children.values())
    return found.values()


def trainable_count(root: Node) -> int:
    """Return the elements of all trainable tensors, each tensor once."""
    return sum(prod(tensor.shape) for tensor in all_tensors(root) if tensor.trainable)


def set_trainable(node: Node, value: bool) -> None:
    """Set the flag of every tensor at and below `node`."""
    for tensor in all_tensors(node):
        tensor.trainable = value


def build_tree(inventory: Inventory) -> Node:
    """Return the bare model as a tree in which shared modules and tensors are shared."""
    nodes: dict[str, Node] = {}
    tensors: dict[str, Tensor] = {}
    for module in inventory.modules:
        if module.kind is Kind.EXPERT_PARAMETER:
            continue
        first = module.alias_of
        node = _bare_node(module, tensors) if first is None else nodes[first]
        nodes[module.path] = node
        if module.path:
            nodes[parent_path(module.path)].children[module.name] = node
    return nodes[""]


def _bare_node(module: Module, tensors: dict[str, Tensor]) -> Node:
    own = {}
    for parameter in module.parameters:
        name = parameter.tied_to or joined(module.path, parameter.name)
        own[parameter.name] = tensors.setdefault(name, Tensor(parameter.shape, trainable=True))
    type_ = NodeType.COLLECTION if module.cls in _COLLECTIONS else NodeType.PLAIN
    return Node(type=type_, tensors=own)


def put_lora(
    root: Node, path: str, tensors: Iterable[AdapterTensor], *, attention: bool = False
) -> None:
    """Replace the node at `path` by a LoRA layer around it.

    Args:
        root: The model.
        path: Of a module; for a parameter, of its holder.
        tensors: What the layer brings along.
        attention: Whether the module is an `nn.MultiheadAttention`.
    """
    parent = find(root, parent_path(path))
    target = parent.child(path.rpartition(".")[2]) if parent is not None and path else parent
    if target is None or parent is None:
        raise KeyError(path)
    layer = _lora_layer(target, NodeType.LORA_ATTENTION if attention else NodeType.LORA)
    if attention and (inner := target.children.get("out_proj")) is not None:
        target.children["out_proj"] = _lora_layer(inner, NodeType.LORA)
    for tensor in tensors:
        holder, name = layer, tensor.name
        first, _, rest = name.partition(".")
        while first in holder.children:  # of an attention's `base_layer.out_proj`
            holder, name = holder.children[first], rest
            first, _, rest = name.partition(".")
        holder.tensors[name] = Tensor(tensor.shape, trainable=True, is_adapter=True)
    parent.children[path.rpartition(".")[2]] = layer


def _lora_layer(base: Node, type_: NodeType) -> Node:
    return Node(type=type_, children={"base_layer": base})


def unfold_lora(root: Node, ends: Iterable[str]) -> None:
    """Make modules of the inner parts of all LoRA layers, if one of `ends` may name any."""
    if not any(map(_may_name_part, ends)):
        return
    for _, node in list(named_nodes(root)):
        if node.type.is_lora and list(node.children) == ["base_layer"]:
            _unfold(node)


def _may_name_part(end: str) -> bool:
    parts = (part for name in _LORA_CHILDREN for part in (name, f"{name}.default"))
    return any(part.endswith(end) or end.endswith(f".{part}") for part in parts)


def _unfold(layer: Node) -> None:
    folded, layer.tensors = layer.tensors, {}
    for name in _LORA_CHILDREN:
        layer.children[name] = Node(type=NodeType.COLLECTION)
    layer.children["lora_dropout"].children["default"] = Node()
    for path, tensor in folded.items():
        *way, name = path.split(".")
        node = layer
        for part in way:
            node = node.children.setdefault(part, Node())
        node.tensors[name] = tensor


def put_saved(root: Node, path: str, *, tied_to: Node | None = None) -> Node:
    """Wrap the node at `path` for `modules_to_save`; return the trainable copy in the wrapper.

    Args:
        root: The model.
        path: Of the module.
        tied_to: A copy whose weight the new one shares; None for a copy of its own.
    """
    target, parent = find(root, path), find(root, parent_path(path))
    if target is None or parent is None:
        raise KeyError(path)
    if tied_to is None:
        copied = deepcopy(target)
    else:
        copied = Node(tensors={"weight": tied_to.tensors["weight"]})
    set_trainable(target, False)
    set_trainable(copied, True)
    copies = Node(type=NodeType.COLLECTION, children={"default": copied})
    parent.children[path.rpartition(".")[2]] = Node(
        type=NodeType.SAVED, children={"original_module": target, "modules_to_save": copies}
    )
    return copied


def put_tokens(root: Node, path: str, rows: Tensor) -> None:
    """Wrap the node at `path` so that `rows` of it are trained."""
    target, parent = find(root, path), find(root, parent_path(path))
    if target is None or parent is None:
        raise KeyError(path)
    delta = Node(type=NodeType.COLLECTION, tensors={"default": rows})
    layer = Node(
        type=NodeType.LORA, children={"base_layer": target, "trainable_tokens_delta": delta}
    )
    parent.children[path.rpartition(".")[2]] = Node(
        type=NodeType.TOKENS, children={"token_adapter": layer}
    )
