"""mlx-lm: the YAML file of `mlx_lm.lora --config`, and the adapter_config.json that it saves.

Source: mlx-lm 0.32.2, `mlx_lm/lora.py`, `linear_to_lora_layers` in `mlx_lm/tuner/utils.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.errors import NoLoraError, RecipeError, SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.formats import forms
from lorascope.formats.dialect import Dialect
from lorascope.formats.keys import Key, Reading, read_keys, text_of
from lorascope.formats.mlx_targets import mlx_targets
from lorascope.formats.near_keys import unknown_keys
from lorascope.formats.node import Node, Syntax

_SECTION = "lora_parameters"
_TOP_KEYS = (Key("fine_tune_type", forms.TEXT), Key("num_layers", forms.WHOLE))
_LORA_KEYS = (
    Key("keys", forms.NAMES, "target_modules"),
    Key("rank", forms.WHOLE, "r"),
    Key("scale", forms.NUMBER, "lora_alpha"),
    Key("dropout", forms.NUMBER, "lora_dropout"),
)
_ALL_KEYS = (
    *_TOP_KEYS,
    *(Key(f"{_SECTION}.{key.name}", key.form, key.field) for key in _LORA_KEYS),
)
"""By what a key at the top of the file may mean."""
_NEEDED = ("rank", "scale", "dropout")
"""What a `lora_parameters` of one's own must have: it replaces the defaults as a whole."""
_MEANT = {"lora_layers": "num_layers", "use_dora": "fine_tune_type"}
"""What earlier releases and other tools call its own settings."""
_LACKING = "lora_parameters"
"""The option under which is noted what such a section lacks."""
_TO_WRITE = {
    "rank": "rank: 8",
    "scale": "scale: 20.0, which is what others call alpha / r",
    "dropout": "dropout: 0.0",
}
_NUM_LAYERS = 16
_RANK = 8
_SCALE = 20.0


def _recognizes(node: Node, syntax: Syntax) -> bool:
    if syntax is Syntax.SHELL:
        return False
    keys = node.fields.keys()
    return _SECTION in keys or {"fine_tune_type", "model"} <= keys


def _read(node: Node, origin: str) -> Recipe:
    reading = read_keys(node, _TOP_KEYS, origin)
    _check_type(node, reading, origin)
    reading.add_unknown(node, unknown_keys(node, _ALL_KEYS, (_SECTION,), meant=_MEANT))
    section = node.fields.get(_SECTION)
    if section is not None and section.value is not None:
        reading.add(_read_section(section, origin))
        if _LACKING in reading.options:
            reading.spots["", _LACKING] = node.keys[_SECTION]
    # It chooses modules by itself where there are no keys; messages say what to write.
    reading.key_of.setdefault("target_modules", f"{_SECTION}.keys")
    _scale(reading)
    return reading.recipe(Tool.MLX_LM, origin, text_of(node, "model", where=origin))


def _check_type(node: Node, reading: Reading, origin: str) -> None:
    kind = reading.options.get("fine_tune_type", "lora")
    if kind == "full":
        raise NoLoraError(
            f"{origin}, line {node.fields['fine_tune_type'].spot.line}: fine_tune_type is 'full', "
            "which trains whole layers; expected 'lora' or 'dora'.",
            "Nothing of it is LoRA.",
        )
    if kind not in ("lora", "dora"):
        raise RecipeError(
            f"{origin}, line {node.fields['fine_tune_type'].spot.line}: fine_tune_type is "
            f"{kind!r}; expected 'lora', 'dora' or 'full'."
        )
    if kind == "dora":
        reading.stated["use_dora"] = True
        reading.key_of["use_dora"] = "fine_tune_type"


def _read_section(section: Node, origin: str) -> Reading:
    if not isinstance(section.value, dict):
        raise RecipeError(
            f"{origin}, line {section.spot.line}: {_SECTION} is {section.value!r}; expected keys "
            "such as rank, scale and dropout below it."
        )
    lacking = [name for name in _NEEDED if section.value.get(name) is None]
    reading = read_keys(section, _LORA_KEYS, origin, section=f"{_SECTION}.")
    if lacking:
        reading.options[_LACKING] = tuple(lacking)
    unknown = unknown_keys(section, _LORA_KEYS, meant=_MEANT, is_closed=True)
    reading.add_unknown(section, unknown)
    return reading


def _scale(reading: Reading) -> None:
    """Say the scale, which mlx-lm multiplies with directly, as PEFT's alpha = scale · r."""
    scale = reading.stated.get("lora_alpha")
    if scale is not None:
        reading.options["scale"] = scale
        reading.stated["lora_alpha"] = scale * reading.stated.get("r", _RANK)


def _hand(recipe: Recipe, inventory: Inventory) -> Mapping[str, Any]:
    """Return the same adapter for PEFT: what mlx-lm adapts, by full names.

    mlx-lm builds its adapter itself, in its own classes of the model. Its routed experts take
    dropout, which PEFT refuses for parameters: it is left out there, as it changes no count.

    Raises:
        SpecificationError: `lora_parameters` lacks what mlx-lm needs in it, the model has fewer
            layers than asked, or it has experts that DoRA is refused for.
    """
    _check_complete(recipe)
    keys = recipe.stated.get("target_modules")
    layers = recipe.options.get("num_layers", _NUM_LAYERS)
    names, parameters = mlx_targets(keys, layers, inventory, recipe.origin)
    handed = {
        "r": _RANK,
        "lora_alpha": _SCALE * _RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        **recipe.stated,
        "target_modules": names,
        "task_type": inventory.model.task_type,
    }
    if parameters and handed.get("use_dora"):
        raise SpecificationError(
            f"{recipe.origin}: fine_tune_type is 'dora' and the routed experts are among the "
            "targets: mlx-lm has no DoRA for them ('SwitchLinear doesn't support DoRA yet').",
            "Name the other modules in lora_parameters.keys, or take fine_tune_type: lora.",
        )
    return (
        {**handed, "target_parameters": parameters, "lora_dropout": 0.0} if parameters else handed
    )


def _check_complete(recipe: Recipe) -> None:
    lacking = recipe.options.get(_LACKING)
    if lacking:
        raise SpecificationError(
            f"{recipe.origin}: {_SECTION} has no {' and no '.join(lacking)}; mlx-lm expects rank, "
            "scale and dropout wherever it is given.",
            f"Add {'; '.join(_TO_WRITE[name] for name in lacking)}.",
        )


DIALECT = Dialect(Tool.MLX_LM, "0.32.2", (Syntax.YAML, Syntax.JSON), _recognizes, _read, _hand)
