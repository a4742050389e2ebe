"""The closed vocabulary: what a module is to LoRA, what it does, and how that is known."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a module is to LoRA. The values are the words of the JSON output."""

    LINEAR = "linear"
    CONV1D = "conv1d"
    """`transformers.pytorch_utils.Conv1D`: GPT-2's linear with a transposed weight."""
    EMBEDDING = "embedding"
    CONVOLUTION = "convolution"
    """`nn.Conv1d`, `nn.Conv2d`, `nn.Conv3d`."""
    MULTIHEAD_ATTENTION = "multihead_attention"
    """`nn.MultiheadAttention`: PEFT adapts its in_proj and out_proj together."""
    EXPERT_PARAMETER = "expert_parameter"
    """A 3-D `nn.Parameter` of stacked experts; only `target_parameters` reaches it."""
    NOT_ADAPTABLE = "not_adaptable"
    """Holds a weight that somebody may want to adapt, but PEFT's LoRA does not take its class."""
    CONTAINER = "container"
    """Everything else: blocks, norms, activations."""

    @property
    def adaptable(self) -> bool:
        """Whether PEFT's LoRA can adapt it."""
        return self not in (Kind.NOT_ADAPTABLE, Kind.CONTAINER)


class Evidence(StrEnum):
    """How a role is known."""

    OBSERVED = "observed"
    NAMED = "named"
    UNKNOWN = "unknown"


class Role(StrEnum):
    """What a module does in the model. A dotted name; the first part is the group."""

    ATTENTION_Q = "attention.q"
    ATTENTION_K = "attention.k"
    ATTENTION_V = "attention.v"
    ATTENTION_O = "attention.o"
    ATTENTION_QKV = "attention.qkv"
    ATTENTION_QK = "attention.qk"
    ATTENTION_KV = "attention.kv"
    ATTENTION_Q_A = "attention.q_a"
    ATTENTION_Q_B = "attention.q_b"
    ATTENTION_KV_A = "attention.kv_a"
    ATTENTION_KV_B = "attention.kv_b"
    ATTENTION_O_A = "attention.o_a"
    """First step of a low-rank output projection (DeepSeek-V4); `o_b` closes the block."""
    ATTENTION_O_B = "attention.o_b"
    ATTENTION_GATE = "attention.gate"
    ATTENTION_POSITION = "attention.position"
    ATTENTION_INDEXER = "attention.indexer"
    ATTENTION_QKVO = "attention.qkvo"
    """A whole `nn.MultiheadAttention`: PEFT adapts its fused input and its output together."""
    ATTENTION_OTHER = "attention.other"
    """Inside an attention block, and none of the above (a sampling offset, a mixing matrix)."""

    FFN_GATE = "ffn.gate"
    FFN_UP = "ffn.up"
    FFN_DOWN = "ffn.down"
    FFN_GATE_UP = "ffn.gate_up"
    FFN_OTHER = "ffn.other"

    MOE_ROUTER = "moe.router"
    MOE_EXPERTS_GATE = "moe.experts.gate"
    MOE_EXPERTS_UP = "moe.experts.up"
    MOE_EXPERTS_GATE_UP = "moe.experts.gate_up"
    MOE_EXPERTS_DOWN = "moe.experts.down"
    MOE_SHARED_GATE = "moe.shared.gate"
    MOE_SHARED_UP = "moe.shared.up"
    MOE_SHARED_GATE_UP = "moe.shared.gate_up"
    MOE_SHARED_DOWN = "moe.shared.down"
    MOE_SHARED_ROUTER = "moe.shared.router"
    """The scalar gate that weighs the shared expert (Qwen2-MoE's `shared_expert_gate`)."""

    SSM_IN = "ssm.in"
    SSM_OUT = "ssm.out"
    SSM_X = "ssm.x"
    SSM_DT = "ssm.dt"
    SSM_GATE = "ssm.gate"
    SSM_CONV = "ssm.conv"
    SSM_OTHER = "ssm.other"

    LINEAR_ATTENTION_Q = "linear_attention.q"
    LINEAR_ATTENTION_K = "linear_attention.k"
    LINEAR_ATTENTION_V = "linear_attention.v"
    LINEAR_ATTENTION_O = "linear_attention.o"
    LINEAR_ATTENTION_QKV = "linear_attention.qkv"
    LINEAR_ATTENTION_GATE = "linear_attention.gate"
    LINEAR_ATTENTION_DECAY = "linear_attention.decay"
    LINEAR_ATTENTION_BETA = "linear_attention.beta"
    """How strongly the delta rule writes a new value."""
    LINEAR_ATTENTION_CONV = "linear_attention.conv"
    LINEAR_ATTENTION_OTHER = "linear_attention.other"

    CONV_IN = "conv.in"
    """A projection into or out of a convolution block (LFM2's short convolution, Conformer)."""
    CONV_OUT = "conv.out"
    CONV_OTHER = "conv.other"

    EMBEDDING_TOKEN = "embedding.token"
    EMBEDDING_POSITION = "embedding.position"
    EMBEDDING_PATCH = "embedding.patch"
    EMBEDDING_OTHER = "embedding.other"
    NORM_MODULATION = "norm.modulation"
    """A linear that makes scale and shift for a norm (adaptive layer norms)."""

    HEAD_LM = "head.lm"
    HEAD_CLASSIFIER = "head.classifier"
    HEAD_POOLER = "head.pooler"
    HEAD_OTHER = "head.other"

    PROJECTOR = "projector"
    UNKNOWN = "unknown"

    @property
    def group(self) -> str:
        """The part before the first dot: `attention`, `ffn`, `moe`, `ssm`, …"""
        return self.value.partition(".")[0]


ROUTERS = frozenset({Role.MOE_ROUTER, Role.MOE_SHARED_ROUTER})
"""Roles that choose experts, or weigh them."""
EXPERTS = frozenset(
    {
        Role.MOE_EXPERTS_GATE,
        Role.MOE_EXPERTS_UP,
        Role.MOE_EXPERTS_GATE_UP,
        Role.MOE_EXPERTS_DOWN,
    }
)
"""Roles of routed experts; shared ones are not among them."""


class Tower(StrEnum):
    """Which part of a composite model a module belongs to."""

    TEXT = "text"
    VISION = "vision"
    AUDIO = "audio"
    PROJECTOR = "projector"
    ENCODER = "encoder"
    DECODER = "decoder"


PERCEPTION = (Tower.VISION, Tower.AUDIO, Tower.PROJECTOR)
"""Towers that turn images and sounds into what a language model reads."""
