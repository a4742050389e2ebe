"""Which parameters `target_parameters` reaches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.inventory import Module, Parameter
from lorascope.core.paths import joined
from lorascope.core.roles import Kind
from lorascope.matching.names import EntryList, ancestors


@dataclass(frozen=True, slots=True)
class ReachedParameter:
    """One parameter that an entry names."""

    holder: Module
    parameter: Parameter
    entry: str

    @property
    def path(self) -> str:
        """Full name of the parameter."""
        return f"{self.holder.path}.{self.parameter.name}"


def reached_parameters(
    modules: Mapping[str, Module],
    entries: Collection[str],
    adapted: Mapping[str, Module],
) -> list[ReachedParameter]:
    """Return the parameters that PEFT wraps, in its order.

    An entry names a parameter by its full name or by what follows one of its dots. A tensor that
    two modules share is reached in both.

    Source: peft 0.21.2, `_inject_parameters` in `tuners/tuners_utils.py`.

    Args:
        modules: As `named_modules()` lists them.
        entries: `target_parameters`.
        adapted: Modules that already got LoRA from `target_modules`.

    Raises:
        SpecificationError: An entry reaches what PEFT cannot wrap: a parameter of the model
            itself, of a module that `target_modules` adapts, or below a wrapped module.
    """
    known = EntryList(entries)
    reached: list[ReachedParameter] = []
    wrapped: set[str] = set()
    for path, module in modules.items():
        if joined(path, "parametrizations") in modules:
            _check_parametrized(path, entries)
            continue
        for parameter in _own_parameters(module):
            entry = known.first_naming(f"{path}.{parameter.name}")
            if entry is None:
                continue
            _check_holder(path, parameter.name, entry, adapted, wrapped)
            wrapped.add(path)
            reached.append(ReachedParameter(module, parameter, entry))
    return reached


def _own_parameters(module: Module) -> Iterator[Parameter]:
    """Yield each tensor of the module once, under the first name it has here."""
    seen: set[str] = set()
    for parameter in module.parameters:
        tensor = parameter.tied_to or joined(module.path, parameter.name)
        if tensor not in seen:
            seen.add(tensor)
            yield parameter


def _check_holder(
    path: str, name: str, entry: str, adapted: Mapping[str, Module], wrapped: set[str]
) -> None:
    if not path:
        raise SpecificationError(
            f"target_parameters: {entry!r} reaches {name!r} of the model itself; PEFT does not "
            "support targeting a parameter on the top-level module."
        )
    if path in adapted and not _is_output_of_adapted_attention(path, adapted):
        raise SpecificationError(
            f"target_parameters: {entry!r} reaches {path + '.' + name!r}, but target_modules "
            f"already adapts {path!r}; PEFT cannot wrap a parameter of such a layer.",
            "Name it in one of the two; if PEFT's default targets it, give target_modules=[].",
        )
    above = next((each for each in ancestors(path) if each in wrapped), None)
    if above is not None:
        raise SpecificationError(
            f"target_parameters: {entry!r} reaches {path + '.' + name!r} inside {above!r}, one of "
            "whose own parameters is targeted too; PEFT does not find the inner module then.",
            "Leave one of the two out.",
        )


def _is_output_of_adapted_attention(path: str, adapted: Mapping[str, Module]) -> bool:
    """PEFT looks through its `nn.MultiheadAttention` layer at the bare `out_proj`."""
    parent, _, name = path.rpartition(".")
    holder = adapted.get(parent)
    return name == "out_proj" and holder is not None and holder.kind is Kind.MULTIHEAD_ATTENTION


def _check_parametrized(path: str, entries: Collection[str]) -> None:
    """PEFT matches parametrized modules by full name only; what then happens is not modelled."""
    for entry in entries:
        if entry.rpartition(".")[0] == path:
            raise UnmodelledError(
                f"target_parameters: {entry!r} is a parameter with a parametrization (such as "
                "weight normalization), which lorascope does not model."
            )
