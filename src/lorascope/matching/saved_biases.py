"""The base model's biases that PEFT saves with an adapter, and the names it saves them under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lorascope.core.inventory import Inventory
from lorascope.matching.versions import behaviour_of

Named = tuple[str, tuple[int, ...]]


def saved_biases(
    inventory: Inventory,
    wrappers: Mapping[str, int],
    saved: Sequence[str],
    bias: str,
    peft_version: str,
) -> Iterator[Named]:
    """Names (without PEFT's prefix) and shapes of the biases in `adapter_model.safetensors`.

    PEFT 0.21 saves what it trains: parameters called `bias`, of all modules or of adapted ones.
    PEFT 0.20 saves every parameter with `bias` in its name for `all`, and none for `lora_only`,
    because it looks for them without the `base_layer` that it has put into their names.
    With `all` it saves buffers of such names as well, which an inventory does not list.

    Args:
        inventory: The model.
        wrappers: How many LoRA layers are around a module, by path.
        saved: Paths of modules saved whole.
        bias: `none`, `all` or `lora_only`.
        peft_version: Whose behaviour to follow.

    Source: peft 0.21.2, `_get_learnable_bias_state_dict` in `tuners/tuners_utils.py`; peft 0.20.0,
    `get_peft_model_state_dict` in `utils/save_and_load.py`.
    """
    by_substring = behaviour_of(peft_version).bias_all_matches_substring
    if bias == "none" or (bias == "lora_only" and by_substring):
        return
    for module in inventory.modules:
        if bias == "lora_only" and not wrappers.get(module.path):
            continue
        for parameter in module.parameters:
            for path in _saved_paths(module.path, wrappers, saved):
                name = f"{path}.{parameter.name}"
                if parameter.name == "bias" or (by_substring and "bias" in name):
                    yield name, parameter.shape


def _saved_paths(path: str, wrappers: Mapping[str, int], saved: Sequence[str]) -> Iterator[str]:
    """Where the module's own parameters lie in the adapted model."""
    holder = next((s for s in saved if path == s or path.startswith(f"{s}.")), None)
    if holder is None:
        yield f"{path}{'.base_layer' * wrappers.get(path, 0)}"
        return
    # PEFT keeps the original and the trained copy of a saved module. The adapter's name stays in
    # the name of what lies deeper than the copy itself.
    rest = path[len(holder) :]
    yield f"{holder}.original_module{rest}"
    yield f"{holder}.modules_to_save" + (f".default{rest}" if rest else "")
