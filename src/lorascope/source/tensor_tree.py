"""Group a checkpoint's tensors by the module that holds them, in model order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lorascope.core.errors import ModelConfigError
from lorascope.source.tensors import TensorHeader

MOST_TENSORS = 2_000_000
_DEEPEST = 64
_QUANTIZATION_STATE = re.compile(
    r"(?P<holder>.+)\.(?P<name>weight\.(absmax|quant_map|nested_absmax|nested_quant_map"
    r"|quant_state\..+))"
)
"""bitsandbytes stores its state beside a weight, as if the weight were a module."""

HeldTensor = tuple[str, TensorHeader]
"""Name inside its module, and the tensor."""


def held_tensors(tensors: Sequence[TensorHeader]) -> dict[str, list[HeldTensor]]:
    """Return module path → tensors it holds directly, every parent before its children.

    Children come in the checkpoint's order, but blocks with numbers by number: files are often
    sorted by name, where 10 comes before 2. Modules that hold nothing are listed too.

    Raises:
        ModelConfigError: There are too many tensors, or a name is nested too deeply.
    """
    if len(tensors) > MOST_TENSORS:
        raise ModelConfigError(
            f"The checkpoint lists {len(tensors):,} tensors; expected at most {MOST_TENSORS:,}."
        )
    held: dict[str, list[HeldTensor]] = {"": []}
    children: dict[str, list[str]] = {"": []}
    for tensor in tensors:
        holder, name = _split(tensor.name)
        for path in _prefixes(holder):
            if path not in held:
                held[path] = []
                children[path] = []
                children[path.rpartition(".")[0]].append(path)
        held[holder].append((name, tensor))
    return {path: held[path] for path in _in_order(children)}


def _split(name: str) -> tuple[str, str]:
    if name.count(".") > _DEEPEST:
        raise ModelConfigError(f"The tensor name {name!r:.80} is nested too deeply.")
    state = _QUANTIZATION_STATE.fullmatch(name)
    if state is not None:
        return state["holder"], state["name"]
    holder, _, last = name.rpartition(".")
    return holder, last


def _prefixes(path: str) -> Iterator[str]:
    end = -1
    while path and (end := path.find(".", end + 1)) != -1:
        yield path[:end]
    if path:
        yield path


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
