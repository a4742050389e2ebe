"""What PEFT itself does: the judge of the property tests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import MultiheadAttention, ParamWrapper
from torch import nn

from lorascope.core.spec import LoraSpec
from lorascope.matching.result import Match


@dataclass(frozen=True)
class Verdict:
    """What was adapted. Names of parameters and modules are full names of the base model."""

    layers: Mapping[str, tuple[bool, int, float, float]]
    """Whether it is a parameter, rank, alpha and scaling."""
    trainable: int
    saved: frozenset[str] | None = None


def of_peft(model: nn.Module, spec: LoraSpec) -> Verdict | Exception:
    """Inject a configuration into a model on the meta device; the model is changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            config = LoraConfig(**arguments(spec))
            injected = get_peft_model(model, config, low_cpu_mem_usage=True)
        except Exception as error:  # whatever PEFT raises is its verdict
            return error
        return Verdict(_layers(injected), injected.get_nb_trainable_parameters()[0])


def of_lorascope(found: Match) -> Verdict:
    """The same of a match."""
    return Verdict(
        {
            target.path: (target.is_parameter, target.rank, target.alpha, target.scaling)
            for target in found.targets
        },
        found.trainable_params,
    )


def arguments(spec: LoraSpec) -> dict[str, Any]:
    """What `LoraConfig` takes for a specification; lists as lists, as JSON gives them."""
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    del values["unmodelled"]
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _layers(injected: Any) -> dict[str, tuple[bool, int, float, float]]:
    tuner = injected.base_model
    found = {}
    modules = dict(tuner.model.named_modules())
    for path, module in modules.items():
        if not isinstance(module, LoraLayer) or ".modules_to_save." in path:
            continue
        holder = path.removesuffix(".base_layer.out_proj")
        if holder != path and isinstance(modules[holder], MultiheadAttention):
            # Half of what PEFT does to the attention module itself.
            continue
        name = path.replace(".original_module", "").replace(".base_layer", "")
        is_parameter = isinstance(module, ParamWrapper)
        if is_parameter:
            name = f"{name}.{module.parameter_name}"
        found[name] = (
            is_parameter,
            module.r["default"],
            module.lora_alpha["default"],
            module.scaling["default"],
        )
    assert set(found) == {*tuner.targeted_module_names, *tuner.targeted_parameter_names}
    return found
