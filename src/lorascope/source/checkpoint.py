"""An inventory from tensor names and shapes alone, for models whose class is not to be built.

It serves where torch is not installed, and where the class is code of the repository. Everything
here is inferred, and the inventory says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lorascope._version import __version__
from lorascope.core.errors import ModelReferenceError
from lorascope.core.inventory import BuiltWith, Inventory, ModelInfo, Module, Parameter
from lorascope.core.roles import Kind
from lorascope.core.stored import StoredTensor
from lorascope.core.tasks import CLASSIFIER_HEADS, task_of_class
from lorascope.source.config_fields import StatedSizes, stated_config
from lorascope.source.gguf_names import transformers_name
from lorascope.source.model_source import ModelSource
from lorascope.source.tensor_kinds import Hints, expert_features, infer, is_expert_stack
from lorascope.source.tensor_tree import HeldTensor, held_tensors

_INPUT_EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "embed_in", "token_embd", "shared")
_OUTPUT_EMBEDDINGS = ("lm_head", "embed_out", "output")
_NUMBERED_EXPERT = re.compile(r"(^|\.)experts\.\d+\.")


def inventory_from_tensors(source: ModelSource) -> Inventory:
    """Read an inventory off the checkpoint's headers. Neither torch nor transformers is needed.

    The source's own notes are left to who labels the inventory, as with one that was built.

    Raises:
        ModelReferenceError: There is no checkpoint at hand.
        ModelConfigError: A header is malformed.
    """
    tensors = source.tensors()
    if not tensors:
        raise ModelReferenceError(
            f"{source.reference} has no safetensors or GGUF checkpoint whose headers could be"
            " read.",
            "Name a directory or a Hub id that holds one.",
        )
    architecture = source.gguf_architecture
    renamed = tensors if architecture is None else _renamed(tensors, architecture)
    config = source.config or {}
    stated = stated_config(config).text
    hints = _hints(source, config, stated)
    held = held_tensors(renamed)
    totals = _totals(held)
    modules = tuple(
        entry
        for path, inside in held.items()
        for entry in _entries(path, inside, totals[path], hints)
    )
    model = _model_info(source, config, stated, modules)
    return Inventory(
        model=replace(model, notes=tuple(_notes(source, model, modules, renamed))),
        built_with=BuiltWith(method="checkpoint", lorascope=__version__),
        modules=modules,
    )


def _entries(path: str, tensors: list[HeldTensor], total: int, hints: Hints) -> list[Module]:
    """The module at `path`, then the stacks of experts that it holds."""
    inferred = infer(path, tensors, hints)
    stacks = [
        _expert_stack(path, name, tensor, hints)
        for name, tensor in tensors
        if inferred.kind is Kind.CONTAINER and is_expert_stack(path, tensor.shape)
    ]
    packed = inferred.kind is Kind.NOT_ADAPTABLE
    holder = Module(
        path=path,
        cls=inferred.cls,
        kind=inferred.kind,
        in_features=inferred.in_features,
        out_features=inferred.out_features,
        kernel=inferred.kernel,
        groups=inferred.groups,
        parameters=tuple(Parameter(name, tensor.shape) for name, tensor in tensors),
        total_params=total,
        transposed=any(stack.transposed for stack in stacks),
        kind_inferred=True,
        hazards=("unsupported_class",) if packed else (),
    )
    return [holder, *stacks]


def _expert_stack(path: str, name: str, tensor: StoredTensor, hints: Hints) -> Module:
    inputs, outputs, transposed = expert_features(f"{path}.{name}", tensor.shape, hints.hidden_size)
    return Module(
        path=tensor.name,
        cls="Parameter",
        kind=Kind.EXPERT_PARAMETER,
        in_features=inputs,
        out_features=outputs,
        experts=tensor.shape[0],
        total_params=tensor.count,
        transposed=transposed,
        kind_inferred=True,
    )


def _totals(held: Mapping[str, list[HeldTensor]]) -> dict[str, int]:
    """Elements in and below each module; parents come before children in `held`."""
    totals = {path: sum(tensor.count for _, tensor in inside) for path, inside in held.items()}
    for path in reversed(totals):
        if path:
            totals[path.rpartition(".")[0]] += totals[path]
    return totals


def _hints(source: ModelSource, config: Mapping[str, Any], stated: StatedSizes) -> Hints:
    quantization = config.get("quantization_config")
    settings = quantization if isinstance(quantization, Mapping) else {}
    bits = settings.get("bits", settings.get("w_bit"))
    return Hints(
        model_type=source.model_type,
        linear_layout=source.origin == "gguf",
        bits=bits if isinstance(bits, int) else None,
        method=str(settings.get("quant_method", "")).lower() or None,
        hidden_size=stated.hidden_size,
    )


def _model_info(
    source: ModelSource,
    config: Mapping[str, Any],
    stated: StatedSizes,
    modules: Sequence[Module],
) -> ModelInfo:
    cls = _class_name(config)
    embedding = _named(modules, _INPUT_EMBEDDINGS, Kind.EMBEDDING)
    output = _named(modules, _OUTPUT_EMBEDDINGS, Kind.LINEAR)
    classifier = next((m.path for m in modules if m.path in CLASSIFIER_HEADS), None)
    tied = config.get("tie_word_embeddings")
    return ModelInfo(
        reference=source.reference,
        model_type=source.model_type,
        cls=cls,
        hidden_size=stated.hidden_size or (embedding.out_features if embedding else None),
        intermediate_size=stated.intermediate_size,
        num_hidden_layers=stated.num_hidden_layers or _counted_layers(modules),
        num_attention_heads=stated.num_attention_heads,
        num_key_value_heads=stated.num_key_value_heads or stated.num_attention_heads,
        vocab_size=stated.vocab_size or (embedding.in_features if embedding else None),
        num_experts=stated.num_experts,
        experts_per_token=stated.experts_per_token,
        total_params=modules[0].total_params,
        dtype=stated.dtype,
        base_model=source.base_model,
        revision=source.revision,
        task_type=task_of_class(cls),
        tie_word_embeddings=tied if isinstance(tied, bool) else None,
        input_embedding=embedding.path if embedding else None,
        output_embedding=output.path if output else None,
        classifier_head=classifier,
    )


def _class_name(config: Mapping[str, Any]) -> str:
    architectures = config.get("architectures")
    if isinstance(architectures, list) and architectures and isinstance(architectures[0], str):
        return architectures[0]
    return "unknown"


def _named(modules: Sequence[Module], names: Sequence[str], kind: Kind) -> Module | None:
    """The first module of this kind called by one of `names`, names tried in order."""
    for name in names:
        for module in modules:
            if module.kind is kind and module.name == name:
                return module
    return None


def _counted_layers(modules: Sequence[Module]) -> int | None:
    """The largest number of numbered children that any module has, experts left out."""
    counts: dict[str, int] = {}
    for module in modules:
        parent, _, last = module.path.rpartition(".")
        if last.isdigit() and not parent.endswith("experts"):
            counts[parent] = counts.get(parent, 0) + 1
    return max(counts.values(), default=None)


def _renamed(tensors: Sequence[StoredTensor], architecture: str) -> tuple[StoredTensor, ...]:
    return tuple(
        replace(tensor, name=transformers_name(tensor.name, architecture) or tensor.name)
        for tensor in tensors
    )


def _notes(
    source: ModelSource,
    model: ModelInfo,
    modules: Sequence[Module],
    tensors: Sequence[StoredTensor],
) -> list[str]:
    notes = [
        "Read off the checkpoint's tensor names and shapes: kinds are inferred, and the class"
        " that PEFT sees may name modules differently."
    ]
    if model.tie_word_embeddings and model.output_embedding is None:
        notes.append("The output head is tied to the embedding and not stored, so not listed.")
    packed = sum(1 for module in modules if module.kind is Kind.NOT_ADAPTABLE)
    if packed:
        notes.append(
            f"{packed:,} modules are stored quantized in a form that does not show their sizes;"
            " they count as not adaptable here, and parameters are counted as stored."
        )
    if any(_NUMBERED_EXPERT.search(tensor.name) for tensor in tensors):
        notes.append(
            "The checkpoint stores experts one by one; transformers 5 fuses those of the classes"
            " it knows into 3-D parameters, which only target_parameters reaches."
        )
    kept = sum(1 for tensor in tensors if tensor.name.startswith("blk."))
    if source.origin == "gguf" and kept:
        notes.append(f"{kept:,} tensors keep GGUF's names, which are not those that PEFT sees.")
    return notes
