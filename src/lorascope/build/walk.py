"""Walk an `nn.Module` into inventory entries, with PEFT's wrappers looked through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from lorascope.build.kinds import ModuleShape, is_expert_parameter, shape_of
from lorascope.core.inventory import Module, Parameter
from lorascope.core.paths import joined
from lorascope.core.roles import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import torch


def base_model_of(module: nn.Module) -> nn.Module:
    """Return the model inside a `PeftModel` or a PEFT tuner; any other module as it is.

    What `torch.compile` and `nn.DataParallel` put around either is looked through.
    """
    module = unwrapped(module)
    inner: Any = None
    if hasattr(module, "peft_config") and hasattr(module, "get_base_model"):
        get_base_model: Any = module.get_base_model
        inner = get_base_model()
    elif hasattr(module, "tuner_layer_cls"):
        inner = getattr(module, "model", None)
    return unwrapped(inner) if isinstance(inner, nn.Module) else module


def unwrapped(module: nn.Module) -> nn.Module:
    """Return what `torch.compile`, `nn.DataParallel` and its distributed kin were given."""
    while True:
        names = {cls.__name__ for cls in type(module).__mro__}
        if "OptimizedModule" in names:  # importing its class would load the compiler
            inner = module._modules.get("_orig_mod")  # noqa: SLF001 - a __getattr__ may answer anything
        elif names & {"DataParallel", "DistributedDataParallel"}:
            inner = module._modules.get("module")  # noqa: SLF001 - as above
        else:
            return module
        if inner is None:
            return module
        module = inner


def named_base_modules(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield `(path, module)` as `named_modules(remove_duplicate=False)` of the bare model would.

    A PEFT layer is replaced by the layer it wraps, so that the paths are those of the base model.
    """
    pending = [("", base_layer_of(root))]
    while pending:
        path, module = pending.pop()
        yield path, module
        children = [
            (joined(path, name), base_layer_of(child))
            for name, child in module._modules.items()  # noqa: SLF001 - children() skips second names
            if child is not None
        ]
        pending.extend(reversed(children))


def base_layer_of(module: nn.Module) -> nn.Module:
    """Return the layer that a PEFT layer or wrapper holds; any other module as it is."""
    while True:
        names = {cls.__name__ for cls in type(module).__mro__}
        if "BaseTunerLayer" in names:
            inner = getattr(module, "base_layer", None)
        elif "AuxiliaryTrainingWrapper" in names:
            inner = getattr(module, "original_module", None)
        else:
            return module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def walk(root: nn.Module, expert_counts: Collection[int]) -> tuple[Module, ...]:
    """List every module below `root`, itself first, each 3-D expert parameter after its holder.

    Args:
        root: The bare base model; weights may be on the meta device.
        expert_counts: Numbers of experts that the config states, to tell stacks of experts from
            other 3-D parameters.
    """
    first_path: dict[int, str] = {}
    first_name: dict[int, str] = {}
    entries: list[Module] = []
    totals = _TotalParameters()
    for path, module in named_base_modules(root):
        alias_of = first_path.get(id(module))
        if alias_of is None:
            first_path[id(module)] = path
        parameters = tuple(_parameters(path, module, first_name))
        shape = shape_of(module)
        entries.append(
            Module(
                path=path,
                cls=type(module).__name__,
                kind=shape.kind,
                in_features=shape.in_features,
                out_features=shape.out_features,
                kernel=shape.kernel,
                groups=shape.groups,
                parameters=parameters,
                total_params=totals.below(module),
                transposed=bool(getattr(module, "is_transposed", False)),
                alias_of=alias_of,
                hazards=("unsupported_class",) if shape.kind is Kind.NOT_ADAPTABLE else (),
            )
        )
        entries.extend(_expert_parameters(entries[-1], module, shape, expert_counts))
    return tuple(entries)


class _TotalParameters:
    """Counts the parameters below a module, each tensor once, whatever PEFT has added."""

    def __init__(self) -> None:
        self._known: dict[int, dict[int, int]] = {}

    def below(self, module: nn.Module) -> int:
        return sum(self._sizes(module).values())

    def _sizes(self, module: nn.Module) -> dict[int, int]:
        known = self._known.get(id(module))
        if known is None:
            known = {
                id(parameter): _element_count(parameter)
                for parameter in module._parameters.values()  # noqa: SLF001 - also what is shared
                if parameter is not None
            }
            for child in module._modules.values():  # noqa: SLF001 - as above
                if child is not None:
                    known.update(self._sizes(base_layer_of(child)))
            self._known[id(module)] = known
        return known


def _parameters(path: str, module: nn.Module, first_name: dict[int, str]) -> Iterator[Parameter]:
    for name, parameter in module._parameters.items():  # noqa: SLF001 - second names too
        if parameter is None:
            continue
        full_name = joined(path, name)
        first = first_name.setdefault(id(parameter), full_name)
        yield Parameter(
            name=name,
            shape=_logical_shape(module, name, parameter),
            tied_to=None if first == full_name else first,
        )


def _logical_shape(module: nn.Module, name: str, parameter: torch.Tensor) -> tuple[int, ...]:
    # bitsandbytes packs 4-bit weights into a flat uint8 tensor; the layer keeps the real sizes.
    packed = getattr(parameter, "quant_state", None) is not None or (
        type(parameter).__name__ == "Params4bit"
    )
    if packed and name == "weight" and isinstance(module, nn.Linear):
        return (module.out_features, module.in_features)
    return tuple(parameter.shape)


def _element_count(parameter: torch.Tensor) -> int:
    if type(parameter).__name__ == "Params4bit":
        return parameter.numel() * 2 * parameter.element_size()
    return parameter.numel()


def _expert_parameters(
    holder: Module, module: nn.Module, shape: ModuleShape, expert_counts: Collection[int]
) -> Iterator[Module]:
    if shape.kind not in (Kind.CONTAINER, Kind.NOT_ADAPTABLE) or holder.alias_of is not None:
        return
    for parameter in holder.parameters:
        if not is_expert_parameter(module, holder.path, parameter, expert_counts):
            continue
        experts, rows, columns = parameter.shape
        inputs, outputs = (rows, columns) if holder.transposed else (columns, rows)
        yield Module(
            path=joined(holder.path, parameter.name),
            cls="Parameter",
            kind=Kind.EXPERT_PARAMETER,
            in_features=inputs,
            out_features=outputs,
            experts=experts,
            total_params=parameter.count,
            transposed=holder.transposed,
        )
