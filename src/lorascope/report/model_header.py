"""What a text report says of the model as a whole, before anything else."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.core.inventory import BuiltWith, Inventory, ModelInfo
from lorascope.core.numbers import exact, short
from lorascope.core.roles import Role
from lorascope.report.layout import fields, heading
from lorascope.report.lines import Line
from lorascope.report.observed_text import observation_text


def model_header(inventory: Inventory, width: int, *, built: bool = False) -> list[Line]:
    """Lay out the model's name, class and sizes, and if `built`, how the inventory was made."""
    model = inventory.model
    name = model.reference if model.revision is None else f"{model.reference}@{model.revision}"
    pairs = [
        ("model type", _type(model)),
        ("class", model.cls),
        ("sizes", ", ".join(_sizes(inventory))),
        ("experts", _experts(model)),
        ("parameters", _parameters(model)),
        ("built", built_text(inventory.built_with) if built else ""),
        ("observed", observation_text(inventory) if built else ""),
    ]
    return [heading(name), *fields(pairs, width)]


def built_text(built: BuiltWith) -> str:
    """Say in words how an inventory was made and with which versions."""
    how = {
        "meta": "on the meta device",
        "cache": "earlier, read from the cache",
        "checkpoint": "from the checkpoint's tensor names and shapes",
    }.get(built.method, built.method)
    libraries = (("transformers", built.transformers), ("torch", built.torch))
    versions = [f"{name} {version}" for name, version in libraries if version]
    return ", ".join([how, *versions])


def _type(model: ModelInfo) -> str:
    stated = model.model_type or "not stated"
    return f"{stated} (default config of the type)" if model.is_default_config else stated


def _sizes(inventory: Inventory) -> Iterator[str]:
    model = inventory.model
    if model.hidden_size is not None:
        yield f"hidden {model.hidden_size}"
    widths = _expert_widths(inventory)
    if model.intermediate_size is not None and (not widths or _has_dense(inventory)):
        yield f"intermediate {model.intermediate_size}"
    if widths:
        yield f"expert width {' and '.join(map(str, widths))}"
    if model.num_hidden_layers is not None:
        yield f"layers {model.num_hidden_layers}"
    if model.num_attention_heads is not None:
        yield f"heads {model.num_attention_heads}" + (
            ""
            if model.num_key_value_heads is None
            else f" (key and value {model.num_key_value_heads})"
        )
    if model.vocab_size is not None:
        yield f"vocabulary {model.vocab_size}"


def _expert_widths(inventory: Inventory) -> list[int]:
    """Return the widths inside the routed experts: what goes into their `down`."""
    downs = (m.in_features for m in inventory.modules if m.role is Role.MOE_EXPERTS_DOWN)
    return list(dict.fromkeys(width for width in downs if width is not None))


def _has_dense(inventory: Inventory) -> bool:
    towers = inventory.model.main_towers
    return any(m.role.group == "ffn" and m.tower in towers for m in inventory.modules)


def _experts(model: ModelInfo) -> str:
    if not model.num_experts:
        return ""
    active = "" if model.experts_per_token is None else f", {model.experts_per_token} a token"
    return f"{model.num_experts}{active}"


def _parameters(model: ModelInfo) -> str:
    total = f"{exact(model.total_params)} ({short(model.total_params)})"
    return total if model.dtype is None else f"{total}, {model.dtype}"
