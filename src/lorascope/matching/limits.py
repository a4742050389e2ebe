"""What PEFT refuses, in a configuration or at one target, and what lorascope does not model."""

from __future__ import annotations

from collections.abc import Sequence

from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.inventory import ModelInfo, Module, Parameter
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching.versions import Behaviour

_NEEDS_DATA = ("corda", "loftq", "lora_ga", "mica")
_MAMBA_TYPES = frozenset({"falcon_h1", "mamba", "mamba2", "falcon_mamba", "nemotron_h"})
_MAMBA_REFUSED = frozenset({"out_proj", "conv1d"})


def check_configuration(spec: LoraSpec, behaviour: Behaviour) -> None:
    """Refuse what PEFT refuses before it sees a model, and what is not modelled.

    Source: peft 0.21.2, `LoraConfig.__post_init__` in `tuners/lora/config.py`.

    Raises:
        SpecificationError: Always with the reason.
    """
    if spec.layer_replication:
        raise UnmodelledError(
            "layer_replication builds new layers, which lorascope does not model.",
            "Leave it out to see what the rest of the configuration hits.",
        )
    if spec.unmodelled:
        raise UnmodelledError(
            f"The configuration sets {', '.join(spec.unmodelled)}, which changes what PEFT builds "
            "in ways that lorascope does not model.",
            "Leave it out to see what the rest of the configuration hits.",
        )
    _check_layers(spec, behaviour)
    if spec.lora_bias and spec.init_lora_weights not in (True, False):
        raise SpecificationError(
            f"lora_bias with init_lora_weights={spec.init_lora_weights!r}: PEFT takes lora_bias "
            "only with init_lora_weights true or false."
        )
    if spec.lora_bias and spec.use_dora:
        raise SpecificationError("lora_bias is not supported for DoRA.", "Set use_dora to false.")
    if spec.bias not in ("none", "all") and not spec.bias.endswith("_only"):
        raise SpecificationError(
            f"bias={spec.bias!r} is not implemented in PEFT.",
            "Take 'none', 'all' or 'lora_only'.",
        )


def _check_layers(spec: LoraSpec, behaviour: Behaviour) -> None:
    for name in ("layers_to_transform", "layers_pattern"):
        if isinstance(spec.target_modules, str) and getattr(spec, name) is not None:
            raise SpecificationError(
                f"{name} cannot be used when target_modules is a string.",
                "Give the target modules as a list, or put the layers into the pattern.",
            )
    layers = spec.layers_to_transform
    missing = not layers if behaviour.layers_pattern_needs_nonzero_layers else layers is None
    if spec.layers_pattern and missing:
        raise SpecificationError(
            "layers_pattern is given, so PEFT wants layers_to_transform as well."
        )


def check_mamba(path: str, model: ModelInfo) -> None:
    """Refuse the modules that PEFT's guard for state-space models refuses.

    Source: peft 0.21.2, `_check_lora_target_modules_mamba` in `tuners/tuners_utils.py`.
    """
    name = path.rpartition(".")[2]
    if model.model_type in _MAMBA_TYPES and name in _MAMBA_REFUSED:
        raise SpecificationError(
            f"Module {path!r} is incompatible with Mamba-based models: PEFT refuses "
            f"{' and '.join(sorted(_MAMBA_REFUSED))} for model type {model.model_type!r}, whose "
            "fused kernel reads their weights directly.",
            "Remove it from target_modules.",
        )


def check_module(module: Module, rank: int, spec: LoraSpec) -> None:
    """Refuse a module that PEFT cannot adapt with this rank and configuration.

    Source: peft 0.21.2, `_create_new_module` in `tuners/lora/model.py` and the constructors in
    `tuners/lora/layer.py`.
    """
    if not module.kind.adaptable or module.kind is Kind.EXPERT_PARAMETER:
        raise SpecificationError(
            f"Target module {module.path!r} ({module.cls}) is not supported by PEFT's LoRA, which "
            "takes Linear, Embedding, Conv1d, Conv2d, Conv3d, transformers' Conv1D and "
            "MultiheadAttention.",
            "Name modules of these classes, or exclude this one with exclude_modules.",
        )
    _check_rank(module.path, rank)
    _check_dropout(spec)
    if module.kind is Kind.EMBEDDING and spec.lora_bias:
        raise SpecificationError(f"lora_bias is not supported for the embedding {module.path!r}.")
    if module.kind is Kind.MULTIHEAD_ATTENTION and spec.use_dora:
        raise SpecificationError(
            f"{module.path!r} is an nn.MultiheadAttention, which does not support DoRA.",
            "Set use_dora to false, or exclude it.",
        )
    if module.kind is Kind.CONVOLUTION and rank % module.groups != 0:
        raise SpecificationError(
            f"{module.path!r} is a {module.cls} with {module.groups} groups, and PEFT takes only "
            f"ranks that the groups divide; here it is {rank}.",
            "Choose another rank for it with rank_pattern, or exclude it.",
        )
    if module.kind is not Kind.EMBEDDING:
        plain = module.kind in (Kind.LINEAR, Kind.CONV1D)
        _check_init(module.path, rank, spec, weights=plain, eva=module.kind is not Kind.CONVOLUTION)
    elif _is_unmodelled_init(spec):
        _refuse_init(spec)


def check_parameter(
    holder: Module, parameter: Parameter, rank: int, spec: LoraSpec, *, fan_in_fan_out: bool
) -> None:
    """Refuse a parameter that PEFT cannot wrap with this rank and configuration.

    Source: peft 0.21.2, `ParamWrapper.__init__` in `tuners/lora/layer.py`.

    Args:
        holder: The module that holds it.
        parameter: What is targeted.
        rank: Its rank.
        spec: The configuration.
        fan_in_fan_out: As it stands after the target modules, each of which sets it in PEFT.
    """
    path = f"{holder.path}.{parameter.name}"
    if len(parameter.shape) not in (2, 3):
        raise SpecificationError(
            f"target_parameters reaches {path!r}, which has {len(parameter.shape)} dimensions; "
            "PEFT supports only 2 and 3.",
            "Name it by a longer suffix.",
        )
    refused = {
        f"lora_dropout={spec.lora_dropout:g}": bool(spec.lora_dropout),
        "fan_in_fan_out=True (which a targeted Conv1D also sets)": fan_in_fan_out,
        "lora_bias=True": spec.lora_bias,
        "use_dora=True": spec.use_dora,
    }
    for setting, given in refused.items():
        if given:
            raise SpecificationError(
                f"target_parameters reaches {path!r}, and PEFT's lora.ParamWrapper does not work "
                f"with {setting}.",
                "Change that setting, or leave the parameters out.",
            )
    _check_rank(path, rank)
    _check_init(path, rank, spec, weights=False, eva=True)


def _check_rank(path: str, rank: int) -> None:
    if rank <= 0:
        raise SpecificationError(f"The rank must be a positive whole number; {path!r} gets {rank}.")


def _check_dropout(spec: LoraSpec) -> None:
    if spec.lora_dropout > 1:
        raise SpecificationError(
            f"lora_dropout is a probability between 0 and 1, not {spec.lora_dropout:g}."
        )


def _check_init(path: str, rank: int, spec: LoraSpec, *, weights: bool, eva: bool) -> None:
    """Refuse an initialization.

    Args:
        path: Of the target.
        rank: Its rank.
        spec: The configuration.
        weights: Whether the target has one 2-D weight to start from.
        eva: Whether PEFT knows `eva` for it.
    """
    init = spec.init_lora_weights
    if not isinstance(init, str) or init == "" or init.lower() == "gaussian":
        return
    if _is_unmodelled_init(spec):
        _refuse_init(spec)
    if init == "eva" and eva:
        return
    known = init.startswith("pissa") or init.lower() == "olora" or init == "orthogonal"
    if not known or not weights:
        raise SpecificationError(
            f"PEFT cannot initialize {path!r} with init_lora_weights={init!r}.",
            "Take true, false or 'gaussian'.",
        )
    if init.startswith("pissa") and not _is_pissa(init):
        raise SpecificationError(
            f"init_lora_weights should be 'pissa' or 'pissa_niter_[number of iterations]', not "
            f"{init!r}."
        )
    if init == "orthogonal" and rank % 2 != 0:
        raise SpecificationError(
            f"Orthogonal initialization requires an even rank; {path!r} gets {rank}."
        )


def _is_pissa(init: str) -> bool:
    parts = init.split("_niter_")
    return init == "pissa" or (len(parts) == 2 and parts[1].isdigit())


def _is_unmodelled_init(spec: LoraSpec) -> bool:
    init = spec.init_lora_weights
    return isinstance(init, str) and init.lower().startswith(_NEEDS_DATA)


def _refuse_init(spec: LoraSpec) -> None:
    raise UnmodelledError(
        f"init_lora_weights={spec.init_lora_weights!r} needs data or trains only a part of the "
        "weights, which lorascope does not model."
    )


def check_something_matched(
    spec: LoraSpec, *, adapted: bool, excluded: Sequence[str], unmatched: bool
) -> None:
    """Raise what PEFT raises if nothing at all is adapted.

    Source: peft 0.21.2, end of `inject_adapter` in `tuners/tuners_utils.py`.

    Args:
        spec: As PEFT sees it by then.
        adapted: Whether anything is.
        excluded: Names taken out by exclude_modules or modules_to_save.
        unmatched: Whether some other name was not targeted.
    """
    if adapted:
        return
    if excluded and not unmatched:
        raise SpecificationError(
            "All modules were excluded, so nothing would be trained.",
            "Check target_modules, exclude_modules and modules_to_save.",
        )
    layers = _layers_note(spec)
    if excluded:
        raise SpecificationError(
            f"No modules were targeted for adaptation{layers}: every module that target_modules "
            "names is excluded or saved whole, or it names none.",
            "Check target_modules, exclude_modules and modules_to_save.",
        )
    if not spec.target_modules:
        raise SpecificationError(
            "No target_modules were passed and no target_parameters were found.",
            "Name at least one module or parameter of this model.",
        )
    wanted = spec.target_modules
    shown = wanted if isinstance(wanted, str) else sorted(wanted)
    raise SpecificationError(
        f"Target modules {shown} not found in the base model{layers}.",
        "A string is one regular expression for the whole name; a list holds names or their ends.",
    )


def _layers_note(spec: LoraSpec) -> str:
    if spec.layers_to_transform is None:
        return ""
    layers = spec.layers_to_transform
    return f" with layers_to_transform={layers if isinstance(layers, int) else list(layers)}"
