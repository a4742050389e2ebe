"""Which modules' weights are read by their parents' code instead of calling the module.

LoRA wraps a module's `forward`. Where code hands `self.out_proj.weight` to a kernel, the adapter
takes no part. The classes' source tells, also for branches that only run on a GPU.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum

from torch import nn

from lorascope.build.kinds import shape_of
from lorascope.observe.effects import ANY, Deed, Ends, Path
from lorascope.observe.method_flow import MethodFlow
from lorascope.observe.method_source import definition


class Read(StrEnum):
    """How far a module's weight is read without calling the module."""

    ALWAYS = "always"
    """No way through the code calls it: an adapter there learns nothing."""
    SOMETIMES = "sometimes"
    """Some ways call it, others only read its weight: there an adapter has no effect."""


def read_directly(model: nn.Module) -> frozenset[str]:
    """Return the paths of the modules whose weight some way through the code only reads.

    Both kinds of `direct_reads` together.
    """
    return frozenset(direct_reads(model))


def direct_reads(model: nn.Module) -> Mapping[str, Read]:
    """Return path → how its weight is read, for modules that hold a weight.

    Followed is the source of every `forward` and of the methods called from there, on the object
    itself or on a child. Asking for a weight's dtype, device or shape is no read. A module that
    is called and read on the same way counts as called. Nothing is run, and nothing is said of
    code whose source is not at hand.
    """
    paths = {id(module): path for path, module in model.named_modules()}
    ends: dict[str, dict[str, Ends]] = defaultdict(dict)
    for holder, module, found in _touched(model):
        by_holder = ends[paths[id(module)]]
        by_holder[holder] = by_holder.get(holder, frozenset()) | found
    judged = {path: _judged(by_holder) for path, by_holder in ends.items()}
    return {path: read for path in paths.values() if (read := judged.get(path)) is not None}


def _judged(by_holder: Mapping[str, Ends]) -> Read | None:
    """Judge from what each holder's code may do with the module."""
    called = {h for h, ends in by_holder.items() if any(Deed.CALLED in end for end in ends)}
    for holder, ends in by_holder.items():
        # Where another object calls it, both happen in one pass.
        if Deed.READ in ends and not called - {holder}:
            return Read.SOMETIMES if called else Read.ALWAYS
    return None


def _touched(model: nn.Module) -> Iterator[tuple[str, nn.Module, Ends]]:
    """Yield path of the holder, module that its code may read or call, and what is possible."""
    holders = {path: module for path, module in model.named_modules() if module._modules}  # noqa: SLF001
    paths = {id(module): path for path, module in holders.items()}
    waiting = [(path, "forward") for path in holders]
    seen = set(waiting)
    flow = MethodFlow()
    while waiting:
        path, method = waiting.pop()
        holder = holders[path]
        for chain, ends in flow.effects_of(holder, method).items():
            for module in _children(holder, chain):
                if shape_of(module).kind.adaptable:
                    yield path, module, ends
            for child, name in _methods_called(holder, chain):
                entry = (paths.get(id(child), ""), name)
                if id(child) in paths and entry not in seen:
                    seen.add(entry)
                    waiting.append(entry)


def _children(module: nn.Module, chain: Path) -> Iterator[nn.Module]:
    """Yield the modules that `chain` leads to from `module`."""
    if not chain:
        yield module
        return
    children = module._modules  # noqa: SLF001 - named_children leaves out what is tied
    names = tuple(children) if chain[0] == ANY else (chain[0],)
    for name in names:
        child = children.get(name)
        if child is not None:
            yield from _children(child, chain[1:])


def _methods_called(holder: nn.Module, chain: Path) -> Iterator[tuple[nn.Module, str]]:
    """Yield the children whose method `chain` means, with the method's name."""
    for child in _children(holder, chain[:-1]) if len(chain) > 1 else ():
        if definition(type(child), chain[-1]) is not None:
            yield child, chain[-1]
