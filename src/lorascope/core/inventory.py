"""Every module of one model, as plain frozen values: what `inspect` shows, `match` selects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from lorascope.core.observation import Call, ObservationInfo, Observed
from lorascope.core.roles import ROUTERS, Evidence, Kind, Role, Tower

SCHEMA_VERSION = 1
"""Version of the JSON outputs. Fields may be added under one version; none changes its meaning."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `nn.Parameter` that a module holds directly."""

    name: str
    """Name inside its module, for example `weight`."""
    shape: tuple[int, ...]
    tied_to: str | None = None
    """Full name of the parameter registered earlier that is the same tensor; None if first."""

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Module:
    """One entry of the inventory: a module, or a 3-D expert parameter listed as one.

    Paths are full names as `named_modules()` (or `named_parameters()`, for an expert parameter)
    of the bare base model gives them, so as PEFT matches them.
    """

    path: str
    cls: str
    """Class name, for example `Linear`; `Parameter` for an expert parameter."""
    kind: Kind
    role: Role = Role.UNKNOWN
    evidence: Evidence = Evidence.UNKNOWN
    rule: str | None = None
    """Which name rule gave the role (`table:pattern`); None if no name rule did."""
    layer: int | None = None
    """Index of the block inside its tower; None outside the blocks."""
    tower: Tower = Tower.TEXT
    cross_attention: bool = False
    """True for the projections of a cross-attention block, whose keys come from elsewhere."""
    in_features: int | None = None
    """For an embedding the number of entries; for a convolution the input channels."""
    out_features: int | None = None
    experts: int | None = None
    """Stacked experts of an expert parameter; None for anything else."""
    kernel: tuple[int, ...] | None = None
    """Kernel size of a convolution; None for anything else."""
    groups: int = 1
    """Groups of a convolution."""
    parameters: tuple[Parameter, ...] = ()
    """Held directly. Empty for an expert parameter, which its container already holds."""
    total_params: int = 0
    """Parameters of this module and all below it, each tensor once."""
    transposed: bool = False
    """Module attribute `is_transposed`: its 3-D parameters are (experts, in, out)."""
    alias_of: str | None = None
    """Path of the same module object registered earlier; `named_modules()` skips this one."""
    kind_inferred: bool = False
    """True if the kind was read off tensor names and shapes instead of a built class."""
    hazards: tuple[str, ...] = ()
    """Codes of `HAZARDS` that apply."""
    observed: Observed | None = None
    """What a forward pass showed of it; None if none was run, or it is not adaptable."""
    named_role: Role | None = None
    """Role that its name says where the forward pass showed `role` instead; None elsewhere."""

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def params(self) -> int:
        """Parameters held directly (an expert parameter: its elements)."""
        if self.kind is Kind.EXPERT_PARAMETER:
            return self.total_params
        return sum(p.count for p in self.parameters)

    @property
    def tied_to(self) -> str | None:
        """Path of the module whose weight this one shares, or None."""
        for parameter in self.parameters:
            if parameter.tied_to is not None:
                return parameter.tied_to.rpartition(".")[0]
        return self.alias_of

    @property
    def lora_params_per_rank(self) -> int:
        """LoRA parameters at r = 1 without DoRA; 0 if LoRA cannot adapt it.

        Linear and Conv1D: in + out. Embedding: entries + dim. Convolution: in·∏kernel +
        out/groups (exact for ranks that the groups divide, PEFT takes no others). Expert
        parameter: experts·(in + out). `nn.MultiheadAttention`: in_proj (d + 3d) and out_proj
        (d + d). Source: peft 0.21.2, `tuners/lora/layer.py`, `update_layer` of each class.
        """
        if not self.kind.adaptable or self.in_features is None or self.out_features is None:
            return 0
        width = self.in_features + self.out_features
        match self.kind:
            case Kind.CONVOLUTION:
                return self.in_features * prod(self.kernel or ()) + self.out_features // self.groups
            case Kind.EXPERT_PARAMETER:
                return (self.experts or 1) * width
            case Kind.MULTIHEAD_ATTENTION:
                return width + 2 * self.in_features
            case _:
                return width


HAZARDS: Mapping[str, str] = {
    "forward_never_called": (
        "its weight is read and its forward never called: LoRA there learns nothing"
    ),
    "forward_bypassed_by_kernel": (
        "on some ways through the code, such as fused kernels, its weight is read past its forward:"
        " LoRA there may learn nothing"
    ),
    "not_affine": (
        "a subclass of a linear whose output is not x·Wᵀ + b: LoRA's sum is wrong here or fails"
    ),
    "state_space_kernel": (
        "read by a fused state-space kernel; PEFT refuses it on some model types"
    ),
    "unsupported_class": "PEFT's LoRA does not take this class",
    "router": "routes tokens to experts; adapting it disturbs the balance between them",
    "tied": "shares its weight with another module, which an adapter here does not follow",
    "perception_tower": "belongs to a vision or audio tower",
}
"""Hazard codes and what each means."""


def is_observed(hazard: str, module: Module) -> bool:
    """Whether a hazard of a module was observed, and not only stated by a name rule."""
    seen = module.observed
    if seen is None or hazard not in module.hazards:
        return False
    return {
        "forward_never_called": seen.call is Call.READ_DIRECTLY,
        "forward_bypassed_by_kernel": seen.call is Call.READ_ON_SOME_WAYS,
        "not_affine": seen.affine is False,
    }.get(hazard, False)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the inventory knows of the model as a whole. Sizes are those of the built text model.

    None means: this model has no such thing, or the source (a checkpoint header) does not say.
    """

    reference: str
    """As the user named it, or as the file said."""
    model_type: str | None
    cls: str
    """Class that was built, for example `LlamaForCausalLM`."""
    hidden_size: int | None = None
    intermediate_size: int | None = None
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    num_key_value_heads: int | None = None
    vocab_size: int | None = None
    num_experts: int | None = None
    experts_per_token: int | None = None
    positions: int | None = None
    """Most tokens of a sequence that the model's table of positions has room for; None if it has no
    table, so that nothing stops a longer one (rotary, relative)."""
    stated_positions: int | None = None
    """Positions that the model was made for, as the config states them."""
    total_params: int = 0
    """Parameters of the whole model, each tensor once."""
    dtype: str | None = None
    """The checkpoint's floating type as the config states it, for example `bfloat16`."""
    is_default_config: bool = False
    """True if only a model type was given, so that all sizes are the class's defaults."""
    is_remote_code: bool = False
    """True if the class is code of the model's repository, whether that was run or not."""
    base_model: str | None = None
    """For an adapter's `base_model_name_or_path`; None if nothing on the Hub or disk."""
    revision: str | None = None
    task_type: str | None = None
    """PEFT task type of the class: `CAUSAL_LM`, `SEQ_CLS`, …"""
    is_pretrained_model: bool = True
    """Whether it is a `transformers.PreTrainedModel` (PEFT treats others differently)."""
    is_transformers_class: bool = True
    """Whether its class is one that transformers ships, which the role tables are checked
    against."""
    tie_word_embeddings: bool | None = None
    input_embedding: str | None = None
    """Path of the input embedding."""
    output_embedding: str | None = None
    """Path of the output embedding, which PEFT's `all-linear` leaves out."""
    classifier_head: str | None = None
    """Top-level `score` or `classifier`, which `all-linear` leaves out for SEQ_CLS."""
    tied_to_embedding: tuple[str, ...] = ()
    """Modules that PEFT counts as tied with the input embedding."""
    expert_rewrite: str | None = None
    """Which rewrite of old expert names PEFT applies (`mixtral`, `qwen2_moe`); None for none."""
    main_towers: tuple[Tower, ...] = (Tower.TEXT,)
    """Towers that presets adapt unless told otherwise."""
    notes: tuple[str, ...] = ()
    """What a reader must know about this inventory, each one sentence."""


@dataclass(frozen=True, slots=True)
class BuiltWith:
    """Which libraries made the inventory, and how."""

    method: str
    """`meta` (built on the meta device), `cache`, or `checkpoint` (read from tensor headers)."""
    lorascope: str
    transformers: str | None = None
    torch: str | None = None


@dataclass(frozen=True)
class Inventory:
    """Every module of one model, in the order of `named_modules(remove_duplicate=False)`.

    The root module itself (empty path) is listed first. Expert parameters follow the module
    that holds them.
    """

    model: ModelInfo
    built_with: BuiltWith
    modules: tuple[Module, ...] = field(repr=False)
    observation: ObservationInfo | None = None
    """How the model was run to observe its modules; None if it was not."""

    @cached_property
    def by_path(self) -> Mapping[str, Module]:
        """Modules by full name."""
        return {module.path: module for module in self.modules}

    @cached_property
    def adaptable(self) -> tuple[Module, ...]:
        """What LoRA can adapt, without second names of the same module."""
        return tuple(m for m in self.modules if m.kind.adaptable and m.alias_of is None)

    @property
    def listed(self) -> Iterator[Module]:
        """What LoRA can adapt or a user may name by mistake: all but the containers."""
        return (m for m in self.modules if m.kind is not Kind.CONTAINER)

    def groups(self) -> dict[str, list[str]]:
        """Full names by group in model order: `{"attention": [...], "ffn": [...]}`.

        Mixture-of-experts feed-forwards (routed and shared experts, without routers) count as
        `ffn`; linear attention counts as `attention`. Only the main towers are listed.
        """
        names: dict[str, list[str]] = {"attention": [], "ffn": []}
        for module in self.adaptable:
            if module.tower not in self.model.main_towers:
                continue
            match module.role.group:
                case "attention" | "linear_attention":
                    names["attention"].append(module.path)
                case "ffn":
                    names["ffn"].append(module.path)
                case "moe" if module.role not in ROUTERS:
                    names["ffn"].append(module.path)
        return names
