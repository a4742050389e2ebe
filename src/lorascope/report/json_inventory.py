"""The value that `lorascope inspect --json` prints. Schema: `schema/inspect.schema.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lorascope.core.inventory import SCHEMA_VERSION, BuiltWith, Inventory, ModelInfo, Module
from lorascope.core.observation import ObservationInfo, Observed


def inventory_json(inventory: Inventory, modules: Sequence[Module] | None = None) -> dict[str, Any]:
    """Return an inventory as plain JSON values.

    Args:
        inventory: The whole model.
        modules: Those to list, in order; None for all but the containers.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model_json(inventory.model),
        "built_with": _built_with(inventory.built_with),
        "observation": _observation(inventory.observation),
        "modules": [_module(m) for m in (inventory.listed if modules is None else modules)],
    }


def model_json(model: ModelInfo) -> dict[str, Any]:
    """Return what is known of a model as a whole as plain JSON values."""
    return {
        "reference": model.reference,
        "model_type": model.model_type,
        "class": model.cls,
        "hidden_size": model.hidden_size,
        "intermediate_size": model.intermediate_size,
        "num_hidden_layers": model.num_hidden_layers,
        "num_attention_heads": model.num_attention_heads,
        "num_key_value_heads": model.num_key_value_heads,
        "vocab_size": model.vocab_size,
        "num_experts": model.num_experts,
        "experts_per_token": model.experts_per_token,
        "total_params": model.total_params,
        "dtype": model.dtype,
        "is_default_config": model.is_default_config,
        "is_remote_code": model.is_remote_code,
        "base_model": model.base_model,
        "revision": model.revision,
        "task_type": model.task_type,
        "tie_word_embeddings": model.tie_word_embeddings,
        "main_towers": [str(tower) for tower in model.main_towers],
        "notes": list(model.notes),
    }


def _built_with(built: BuiltWith) -> dict[str, Any]:
    return {
        "transformers": built.transformers,
        "torch": built.torch,
        "lorascope": built.lorascope,
        "method": built.method,
    }


def _observation(observation: ObservationInfo | None) -> dict[str, Any] | None:
    if observation is None:
        return None
    return {
        "inputs": list(observation.inputs),
        "attentions": observation.attentions,
        "is_partial": observation.is_partial,
        "reason": observation.reason,
        "notes": list(observation.notes),
    }


def _observed(observed: Observed | None) -> dict[str, Any] | None:
    if observed is None:
        return None
    return {
        "call": str(observed.call),
        "role": None if observed.role is None else str(observed.role),
        "affine": observed.affine,
        "input_group": observed.input_group,
        "input_kept": observed.input_kept,
    }


def _module(module: Module) -> dict[str, Any]:
    return {
        "path": module.path,
        "class": module.cls,
        "kind": str(module.kind),
        "kind_inferred": module.kind_inferred,
        "role": str(module.role),
        "evidence": str(module.evidence),
        "rule": module.rule,
        "layer": module.layer,
        "tower": str(module.tower),
        "cross_attention": module.cross_attention,
        "in_features": module.in_features,
        "out_features": module.out_features,
        "experts": module.experts,
        "kernel": None if module.kernel is None else list(module.kernel),
        "params": module.params,
        "lora_params_per_rank": module.lora_params_per_rank,
        "tied_to": module.tied_to,
        "hazards": list(module.hazards),
        "observed": _observed(module.observed),
    }
