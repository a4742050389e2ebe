"""Group a checkpoint's tensors by the module that holds them, in model order."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence

from lorascope.core.errors import ModelConfigError
from lorascope.core.stored import StoredTensor
from lorascope.source.tensors import check_count, check_name

MOST_MODULES = 150_000
"""The largest published checkpoints name 100,000."""
_QUANTIZATION_STATE = re.compile(
    r"(?P<holder>.+)\.(?P<name>weight\.(absmax|quant_map|nested_absmax|nested_quant_map"
    r"|quant_state\..+))"
)
"""bitsandbytes stores its state beside a weight, as if the weight were a module."""

HeldTensor = tuple[str, StoredTensor]
"""Name inside its module, and the tensor."""


def held_tensors(tensors: Sequence[StoredTensor]) -> dict[str, list[HeldTensor]]:
    """Return module path → tensors it holds directly, every parent before its children.

    Children come in the checkpoint's order, but blocks with numbers by number: files are often
    sorted by name, where 10 comes before 2. Modules that hold nothing are listed too.

    Raises:
        ModelConfigError: There are too many tensors or modules, or a name is too long or too deep.
    """
    check_count(len(tensors), "The checkpoint")
    held: dict[str, list[HeldTensor]] = {"": []}
    children: dict[str, list[str]] = {"": []}
    for tensor in tensors:
        check_name(tensor.name, "The checkpoint")
        holder, name = _split(tensor.name)
        for path in reversed(_new_paths(holder, held)):
            held[path] = []
            children[path] = []
            children[path.rpartition(".")[0]].append(path)
        held[holder].append((name, tensor))
        if len(held) > MOST_MODULES:
            raise ModelConfigError(
                f"The checkpoint's names make over {MOST_MODULES:,} modules; that is no model's."
            )
    return {path: held[path] for path in _in_order(children)}


def _split(name: str) -> tuple[str, str]:
    state = _QUANTIZATION_STATE.fullmatch(name)
    if state is not None:
        return state["holder"], state["name"]
    holder, _, last = name.rpartition(".")
    return holder, last


def _new_paths(path: str, known: Container[str]) -> list[str]:
    """Return `path` and its parents up to the first that is known, innermost first."""
    new = []
    while path not in known:
        new.append(path)
        path = path.rpartition(".")[0]
    return new


def _in_order(children: dict[str, list[str]]) -> Iterator[str]:
    waiting = [""]
    while waiting:
        path = waiting.pop()
        yield path
        waiting.extend(reversed(_by_number(children[path])))


def _by_number(paths: list[str]) -> list[str]:
    numbers = [path.rpartition(".")[2] for path in paths]
    if all(number.isascii() and number.isdigit() and len(number) < 10 for number in numbers):
        return [path for _, path in sorted(zip(map(int, numbers), paths, strict=True))]
    return paths
