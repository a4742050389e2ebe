"""The training steps that are measured on a CPU: small shapes of real architectures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.training import TrainingSetup
from memory_cases import Case, Shape

LLAMA = Shape(
    "llama",
    {
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 16_000,
    },
)
LLAMA_DEEP = Shape("llama", {**LLAMA.sizes, "num_hidden_layers": 16, "vocab_size": 2_048})
PHI3 = Shape(
    "phi3",
    {
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 10,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "vocab_size": 4_096,
        "pad_token_id": 0,
    },
)
GPT2 = Shape("gpt2", {"n_embd": 256, "n_layer": 6, "n_head": 8, "vocab_size": 16_000})
QWEN3_MOE = Shape(
    "qwen3_moe",
    {
        "hidden_size": 256,
        "intermediate_size": 512,
        "moe_intermediate_size": 128,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 32,
        "num_experts": 16,
        "num_experts_per_tok": 4,
        "vocab_size": 4_096,
    },
)
MIXTRAL = Shape(
    "mixtral",
    {
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "vocab_size": 4_096,
    },
)
DEEPSEEK_V3 = Shape(
    "deepseek_v3",
    {
        "hidden_size": 256,
        "intermediate_size": 512,
        "moe_intermediate_size": 128,
        "num_hidden_layers": 8,
        "first_k_dense_replace": 2,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "n_routed_experts": 16,
        "num_experts_per_tok": 4,
        "n_group": 4,
        "topk_group": 2,
        "kv_lora_rank": 64,
        "q_lora_rank": 96,
        "qk_rope_head_dim": 32,
        "qk_nope_head_dim": 32,
        "v_head_dim": 32,
        "vocab_size": 4_096,
    },
)
GEMMA3 = Shape(
    "gemma3_text",
    {
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 12,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "sliding_window": 128,
        "vocab_size": 8_192,
    },
)
MAMBA = Shape(
    "mamba",
    {"hidden_size": 256, "num_hidden_layers": 8, "state_size": 16, "vocab_size": 4_096},
)
T5 = Shape(
    "t5",
    {
        "d_model": 256,
        "d_kv": 32,
        "d_ff": 512,
        "num_layers": 6,
        "num_heads": 8,
        "vocab_size": 4_096,
        "decoder_start_token_id": 0,
        "dropout_rate": 0.1,
    },
    "AutoModelForSeq2SeqLM",
)
BART = Shape(
    "bart",
    {
        "d_model": 256,
        "encoder_ffn_dim": 1024,
        "decoder_ffn_dim": 1024,
        "encoder_layers": 6,
        "decoder_layers": 6,
        "encoder_attention_heads": 8,
        "decoder_attention_heads": 8,
        "vocab_size": 4_096,
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
    """Return a case on the CPU: 2 × 256 tokens unless said otherwise."""
    sizes = {"batch_size": 2, "seq_len": 256, "device": "cpu"}
    return Case(name, shape, TrainingSetup(**(sizes | setup)), preset, dropout, options or {})


_ALL = (
    case("llama-qv", LLAMA, "qv", dtype="fp32"),
    case("llama-extended", LLAMA, "extended", 0.05, batch_size=4),
    case("llama-all", LLAMA, "all-linear", 0.05, dtype="fp32", seq_len=512),
    case("llama-sgd", LLAMA, "all-linear", adapter_dtype="bf16", optimizer="sgd"),
    case("deep-qv", LLAMA_DEEP, "qv", seq_len=512),
    case("deep-all", LLAMA_DEEP, "all-linear", 0.05, seq_len=512),
    case("deep-all-fp32", LLAMA_DEEP, "all-linear", dtype="fp32"),
    case("deep-checkpointed", LLAMA_DEEP, "all-linear", 0.05, dtype="fp32", seq_len=1024,
         gradient_checkpointing=True),
    case("deep-rank", LLAMA_DEEP, "all-linear", options={"rank": 128}, seq_len=64, dtype="fp32"),
    case("deep-adafactor", LLAMA_DEEP, "all-linear", options={"rank": 128}, seq_len=64,
         optimizer="adafactor"),
    case("phi3-extended", PHI3, "extended", dtype="fp32", seq_len=512),
    case("phi3-qv", PHI3, "qv", 0.05, gradient_checkpointing=True, seq_len=1024,
         optimizer="adafactor"),
    case("gpt2-all", GPT2, "all-linear", 0.05, dtype="fp32"),
    case("gpt2-qv", GPT2, "qv", seq_len=512, gradient_checkpointing=True),
    case("qwen3-moe-qv", QWEN3_MOE, "qv"),
    case("qwen3-moe-experts", QWEN3_MOE, "all-linear", options={"experts": True}, dtype="fp32"),
    case("mixtral-experts", MIXTRAL, "all-linear", options={"experts": True},
         gradient_checkpointing=True),
    case("mixtral-attention", MIXTRAL, "attention", 0.05, dtype="fp32"),
    case("deepseek-v3-attention", DEEPSEEK_V3, "attention", 0.05),
    case("gemma3-extended", GEMMA3, "extended", 0.05, seq_len=512),
    case("gemma3-all", GEMMA3, "all-linear", dtype="fp32", gradient_checkpointing=True,
         seq_len=512),
    # Few tokens a sequence: without its kernel, mamba runs a loop over them, operator by operator.
    case("mamba-all", MAMBA, "all-linear", dtype="fp32", batch_size=8, seq_len=32),
    case("t5-all", T5, "all-linear", dtype="fp32"),
    case("t5-extended", T5, "extended", 0.05, optimizer="adafactor"),
    case("bart-all", BART, "all-linear", dtype="fp32", seq_len=512),
    case("bart-qv", BART, "qv", 0.05, gradient_checkpointing=True, seq_len=512),
    case("llama-autocast", LLAMA_DEEP, "all-linear", 0.05, autocast=True),
    case("gpt2-autocast", GPT2, "all-linear", dtype="fp32", autocast=True, seq_len=512),
    case("llama-autocast-checkpointed", LLAMA_DEEP, "qv", autocast=True, seq_len=1024,
         gradient_checkpointing=True),
    case("llama-nf4", LLAMA_DEEP, "all-linear", 0.05, quantization="nf4", kbit_upcast=True),
    case("llama-nf4-checkpointed", LLAMA_DEEP, "all-linear", quantization="nf4", kbit_upcast=True,
         gradient_checkpointing=True, seq_len=1024),
    case("llama-int8", LLAMA_DEEP, "qv", quantization="int8", kbit_upcast=True),
)  # fmt: skip

CASES = {found.name: found for found in _ALL}
