"""torchtune: the `model` section of a recipe's YAML file.

Source: torchtune 0.6.1, `torchtune/models/*/_model_builders.py` and `_component_builders.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.errors import NoLoraError, RecipeError, SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.formats import forms
from lorascope.formats.dialect import Dialect
from lorascope.formats.keys import Key, Reading, read_keys
from lorascope.formats.near_keys import near_keys, unknown_keys
from lorascope.formats.node import Node, Syntax
from lorascope.formats.torchtune_models import HUB_IDS, OUTPUT_REFUSED, TIED
from lorascope.formats.torchtune_targets import ATTENTION, MLP, torchtune_targets

_LORA_KEYS = (
    Key("lora_attn_modules", forms.NAMES, "target_modules"),
    Key("lora_rank", forms.WHOLE, "r"),
    Key("lora_alpha", forms.NUMBER, "lora_alpha"),
    Key("lora_dropout", forms.NUMBER, "lora_dropout"),
    Key("use_dora", forms.FLAG, "use_dora"),
    Key(MLP, forms.FLAG),
    Key("apply_lora_to_output", forms.FLAG),
    Key("quantize_base", forms.FLAG),
)
_VISION_KEYS = (
    Key("decoder_trainable", forms.TEXT),
    Key("encoder_trainable", forms.TEXT),
    Key("fusion_trainable", forms.TEXT),
    Key("image_size", forms.WHOLE),
)
_TIE = Key("tie_word_embeddings", forms.FLAG)
_OUTPUTS = frozenset({"o_proj", "out_proj", "dense", "wo"})
"""What other tools and models call `output_proj`."""
_FEED_FORWARD = frozenset({"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"})
"""Modules that torchtune adapts by a switch, all or none."""
_COMPONENT = "_component_"
_BUILDERS = "torchtune.models."

_DEFAULTS: Mapping[str, Any] = {
    "r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "use_dora": False,
    "bias": "none",
}


def _component(node: Node) -> str | None:
    """Return the builder that a recipe names; None if it names none of torchtune's."""
    model = node.fields.get("model")
    named = model.fields.get(_COMPONENT) if model is not None else None
    if named is None or not isinstance(named.value, str):
        return None
    return named.value if named.value.startswith(_BUILDERS) else None


def _recognizes(node: Node, syntax: Syntax) -> bool:
    return syntax is Syntax.YAML and _component(node) is not None


def _read(node: Node, origin: str) -> Recipe:
    component = _component(node)
    if component is None:
        raise RecipeError(
            f"{origin}, line {node.spot.line}: model.{_COMPONENT} names no builder of torchtune's; "
            f"expected one such as '{_BUILDERS}llama3_1.lora_llama3_1_8b'."
        )
    model = node.fields["model"]
    name, is_quantized = _builder(component, model, origin)
    keys = _keys_of(name)
    reading = read_keys(model, keys, origin, section="model.")
    _check_targets(reading, model, origin)
    reading.options[_COMPONENT] = component
    if is_quantized:
        reading.options["quantize_base"] = True
    is_closed = name in HUB_IDS
    reading.add_unknown(model, unknown_keys(model, keys, (_COMPONENT,), is_closed=is_closed))
    _add_unknown_modules(reading)
    return reading.recipe(Tool.TORCHTUNE, origin, HUB_IDS.get(name))


def _builder(component: str, model: Node, origin: str) -> tuple[str, bool]:
    """Return a builder's name without `lora_` or `qlora_`, and whether it quantizes.

    Raises:
        NoLoraError: It builds a model without LoRA.
    """
    name = component.rpartition(".")[2]
    for prefix in ("qlora_", "lora_"):
        if name.startswith(prefix):
            return name.removeprefix(prefix), prefix == "qlora_"
    raise NoLoraError(
        f"{origin}, line {model.spot.line}: model.{_COMPONENT} is {component!r}, which trains the "
        "whole model; expected a builder whose name begins with lora_ or qlora_.",
        f"{component.rpartition('.')[0]}.lora_{name} is the one with LoRA." if name else None,
    )


def _keys_of(name: str) -> tuple[Key, ...]:
    """Return the parameters of a builder."""
    keys = tuple(
        key for key in _LORA_KEYS if name not in TIED or key.name != "apply_lora_to_output"
    )
    if name == "llama3_1_405b":  # the one builder without it
        keys = tuple(key for key in keys if key.name != "use_dora")
    if name.startswith("llama3_2_vision"):
        return keys + _VISION_KEYS
    return (*keys, _TIE) if name.startswith("llama3_2_") else keys


def _check_targets(reading: Reading, model: Node, origin: str) -> None:
    if not reading.stated.get("target_modules"):
        got = "is missing" if "target_modules" not in reading.stated else "is empty"
        raise RecipeError(
            f"{origin}, line {model.spot.line}: model.lora_attn_modules {got}; torchtune expects "
            f"at least one of {', '.join(ATTENTION)}.",
            "Add it, for example lora_attn_modules: ['q_proj', 'v_proj'].",
        )


def _add_unknown_modules(reading: Reading) -> None:
    """Note the attention modules that torchtune has no such name for, and passes over."""
    for name in reading.stated["target_modules"]:
        if name not in ATTENTION:
            reading.unknown[name] = _meant(name)
            reading.spots["", name] = reading.spots["target_modules", name]


def _meant(name: str) -> tuple[str, ...]:
    """Return the attention modules, or the one switch, that an unknown module may be meant as."""
    if name in _FEED_FORWARD:
        return (MLP,)
    return ("output_proj",) if name in _OUTPUTS else near_keys(name, ATTENTION)


def _hand(recipe: Recipe, inventory: Inventory) -> Mapping[str, Any]:
    """Return the same adapter in Hugging Face's names, as torchtune's own export says it.

    torchtune builds its adapter itself; every full name of what it adapts is listed.

    Raises:
        SpecificationError: LoRA is asked for on a head that is tied to the embedding.
    """
    _check_output(recipe)
    wanted = tuple(recipe.stated["target_modules"])
    options = dict(recipe.options)
    is_vision = "llama3_2_vision" in str(options.get(_COMPONENT))
    names = torchtune_targets(wanted, inventory, options, is_vision=is_vision)
    return {
        **_DEFAULTS,
        **recipe.stated,
        "target_modules": names,
        "task_type": inventory.model.task_type,
    }


def _check_output(recipe: Recipe) -> None:
    component = str(recipe.options.get(_COMPONENT))
    name = component.rpartition(".")[2].removeprefix("q").removeprefix("lora_")
    if recipe.options.get("apply_lora_to_output") and name in OUTPUT_REFUSED:
        raise SpecificationError(
            f"{recipe.origin}: model.apply_lora_to_output is true, and the output layer of "
            f"{component.rpartition('.')[2]} is the tied embedding, on which torchtune builds no "
            "LoRA.",
            "Set model.apply_lora_to_output to False.",
        )


DIALECT = Dialect(Tool.TORCHTUNE, "0.6.1", (Syntax.YAML,), _recognizes, _read, _hand)
