"""The training steps that are measured on a GPU: published shapes of 0.1 to 8 B parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.training import TrainingSetup
from lorascope.source.examples import find_example
from memory_cases import Case, Shape

_NO_SIZES = ("model_type", "architectures")


def published(example: str, auto_class: str = "AutoModelForCausalLM") -> Shape:
    """Return the shape of one of lorascope's built-in examples."""
    config = find_example(example).config
    sizes = {name: value for name, value in config.items() if name not in _NO_SIZES}
    return Shape(config["model_type"], sizes, auto_class)


SMOLLM2 = published("SmolLM2-135M")
GPT2 = published("GPT-2")
QWEN2 = published("Qwen2.5-0.5B")
OPT = published("OPT-1.3B")
STARCODER2 = published("StarCoder2-3B")
PHI3 = published("Phi-3-mini")
LLAMA3 = published("Llama-3.1-8B")
QWEN3 = published("Qwen3-8B")
T5_BASE = published("T5-base", "AutoModelForSeq2SeqLM")
MAMBA = published("Mamba-2.8B")
TINYLLAMA = Shape(
    "llama",
    {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "vocab_size": 32_000,
    },
)
LLAMA_3B = Shape(
    "llama",
    {
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "tie_word_embeddings": True,
        "vocab_size": 128_256,
    },
)
QWEN3_MOE = Shape(
    "qwen3_moe",
    {
        "hidden_size": 1024,
        "moe_intermediate_size": 384,
        "num_hidden_layers": 16,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "num_experts": 64,
        "num_experts_per_tok": 8,
        "vocab_size": 151_936,
    },
)
T5_LARGE = Shape(
    "t5",
    {
        "d_model": 1024,
        "d_kv": 64,
        "d_ff": 4096,
        "num_layers": 24,
        "num_heads": 16,
        "vocab_size": 32_128,
        "decoder_start_token_id": 0,
    },
    "AutoModelForSeq2SeqLM",
)


def case(
    name: str,
    shape: Shape,
    preset: str,
    dropout: float = 0.0,
    options: Mapping[str, Any] | None = None,
    **setup: Any,
) -> Case:
    """Return a case on a GPU: 1 × 2,048 tokens in bf16 unless said otherwise."""
    sizes = {"batch_size": 1, "seq_len": 2048, "dtype": "bf16", "device": "cuda"}
    return Case(name, shape, TrainingSetup(**(sizes | setup)), preset, dropout, options or {})


_ALL = (
    case("smollm2-qv", SMOLLM2, "qv", batch_size=4),
    case("smollm2-all", SMOLLM2, "all-linear", 0.05, batch_size=4),
    case("smollm2-all-fp32", SMOLLM2, "all-linear", batch_size=4, dtype="fp32"),
    case("gpt2-all", GPT2, "all-linear", 0.05, seq_len=1024, batch_size=4),
    case("qwen2-extended", QWEN2, "extended", 0.05),
    case("qwen2-checkpointed", QWEN2, "all-linear", 0.05, batch_size=4,
         gradient_checkpointing=True),
    case("tinyllama-qv", TINYLLAMA, "qv", batch_size=2),
    case("tinyllama-all-bf16", TINYLLAMA, "all-linear", batch_size=2, adapter_dtype="bf16"),
    case("tinyllama-adafactor", TINYLLAMA, "all-linear", 0.05, options={"rank": 64},
         optimizer="adafactor"),
    case("tinyllama-sgd", TINYLLAMA, "extended", optimizer="sgd"),
    case("opt-all", OPT, "all-linear", 0.05),
    case("starcoder2-qv", STARCODER2, "qv", 0.05),
    case("mamba-all", MAMBA, "all-linear", seq_len=256, gradient_checkpointing=True),
    case("llama-3b-all", LLAMA_3B, "all-linear", 0.05),
    case("llama-3b-checkpointed", LLAMA_3B, "all-linear", batch_size=4,
         gradient_checkpointing=True),
    case("phi3-extended", PHI3, "extended", 0.05),
    case("phi3-qv", PHI3, "qv"),
    case("llama-8b-qv", LLAMA3, "qv"),
    case("llama-8b-all", LLAMA3, "all-linear", 0.05),
    case("llama-8b-all-bf16", LLAMA3, "all-linear", adapter_dtype="bf16", seq_len=4096),
    case("llama-8b-checkpointed", LLAMA3, "all-linear", 0.05, batch_size=4,
         gradient_checkpointing=True),
    case("qwen3-8b-extended", QWEN3, "extended", gradient_checkpointing=True),
    case("qwen3-moe-attention", QWEN3_MOE, "attention", 0.05),
    case("qwen3-moe-experts", QWEN3_MOE, "all-linear", options={"experts": True}),
    case("t5-base-all", T5_BASE, "all-linear", 0.05, seq_len=512, batch_size=8),
    case("t5-large-qv", T5_LARGE, "qv", seq_len=512, batch_size=16, gradient_checkpointing=True),
    case("llama-3b-nf4", LLAMA_3B, "all-linear", 0.05, quantization="nf4", kbit_upcast=True),
    case("llama-8b-nf4", LLAMA3, "all-linear", 0.05, quantization="nf4", kbit_upcast=True,
         gradient_checkpointing=True),
    case("llama-3b-int8", LLAMA_3B, "qv", quantization="int8", kbit_upcast=True,
         gradient_checkpointing=True),
)  # fmt: skip

CASES = {found.name: found for found in _ALL}
