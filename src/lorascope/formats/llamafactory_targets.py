"""Which modules LLaMA-Factory names to PEFT on one model.

Source of all that is said of it here: llamafactory 0.9.5, `model/adapter.py`,
`model/model_utils/misc.py` and `model/model_utils/visual.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe
from lorascope.core.roles import Kind
from lorascope.formats.forms import is_on
from lorascope.formats.llamafactory_towers import TOWERS

_HEADS = {"chatglm": ("output_layer",), "internlm2": ("output",)}
"""Left out of `all` beside `lm_head`."""


def target_modules(recipe: Recipe, inventory: Inventory) -> tuple[str, ...]:
    """Return the target list after all that the tool does to it.

    `all` becomes the last parts of the names of the linears. On a multimodal model the list then
    becomes the full names of all modules, containers too, that hold one of its entries anywhere in
    their names and are in no frozen tower.

    Raises:
        SpecificationError: `use_llama_pro` does not fit the number of layers.
    """
    stated: Sequence[str] | None = recipe.stated.get("target_modules")
    targets = _all_linear(recipe, inventory) if stated is None else tuple(stated)
    if is_on(recipe.options.get("use_llama_pro")):
        targets = _of_expanded_blocks(recipe, inventory, targets)
    if inventory.model.model_type not in TOWERS:
        return targets
    forbidden = _frozen(recipe, inventory)
    return tuple(name for name in _holding(targets, inventory) if not _holds(name, forbidden))


def saved_modules(recipe: Recipe, inventory: Inventory) -> tuple[str, ...] | None:
    """Return `additional_target`; with a resized vocabulary the embeddings in its place."""
    stated: Sequence[str] | None = recipe.stated.get("modules_to_save")
    if stated is not None:
        return tuple(stated)
    if not is_on(recipe.options.get("resize_vocab")):
        return None
    model = inventory.model
    ends = (
        path.rpartition(".")[2] for path in (model.input_embedding, model.output_embedding) if path
    )
    return tuple(dict.fromkeys(ends))


def _all_linear(recipe: Recipe, inventory: Inventory) -> tuple[str, ...]:
    """Source: `find_all_linear_modules`; sorted here, without order there."""
    model_type = inventory.model.model_type or ""
    forbidden = ("lm_head", *_HEADS.get(model_type, ()))
    towers = TOWERS.get(model_type)
    if towers is not None:
        forbidden += towers.projector
        if _is_frozen(recipe, "freeze_vision_tower", default=True):
            forbidden += towers.vision
    kept = (path for path in _names(inventory) if not _holds(path, forbidden))
    linear = (path for path in kept if _is_linear(inventory.by_path[path].cls))
    return tuple(sorted({path.rpartition(".")[2] for path in linear}))


def _is_linear(cls: str) -> bool:
    return "Linear" in cls and "Embedding" not in cls


def _of_expanded_blocks(
    recipe: Recipe, inventory: Inventory, targets: Sequence[str]
) -> tuple[str, ...]:
    """Source: `find_expanded_modules`."""
    layers = inventory.model.num_hidden_layers
    trained = recipe.options.get("freeze_trainable_layers", 2)
    if not layers or not isinstance(trained, int) or trained < 1 or layers % trained:
        raise SpecificationError(
            f"{recipe.origin}: use_llama_pro trains freeze_trainable_layers = {trained!r} blocks; "
            f"expected a number that divides the model's {layers or 0} layers."
        )
    stride = layers // trained
    blocks = tuple(f".{layer}." for layer in range(stride - 1, layers + stride - 1, stride))
    return tuple(name for name in _holding(targets, inventory) if _holds(name, blocks))


def _frozen(recipe: Recipe, inventory: Inventory) -> tuple[str, ...]:
    """Source: `get_forbidden_modules` and `patch_target_modules`."""
    towers = TOWERS[inventory.model.model_type or ""]
    frozen = towers.never
    if _is_frozen(recipe, "freeze_vision_tower", default=True):
        frozen += towers.vision
    if _is_frozen(recipe, "freeze_multi_modal_projector", default=True):
        frozen += towers.projector
    if _is_frozen(recipe, "freeze_language_model", default=False):
        frozen += towers.language
    return frozen


def _is_frozen(recipe: Recipe, option: str, *, default: bool) -> bool:
    return is_on(recipe.options.get(option, default))


def _names(inventory: Inventory) -> list[str]:
    """Full names of all modules, each once, as `named_modules()` lists them."""
    return [
        module.path
        for module in inventory.modules
        if module.kind is not Kind.EXPERT_PARAMETER and module.alias_of is None
    ]


def _holding(targets: Sequence[str], inventory: Inventory) -> list[str]:
    return [name for name in _names(inventory) if _holds(name, targets)]


def _holds(name: str, parts: Sequence[str]) -> bool:
    return any(part in name for part in parts)
