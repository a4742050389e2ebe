"""Which published model each of torchtune's builders is for.

Source: torchtune 0.6.1, `recipes/configs` (what each says to download), and for builders without
one there the model of the same size and name that the builder's documentation names. Where a
built-in example is the base model of the same release and shapes, it stands in for the instruct
model, so that no network is needed.
"""

from __future__ import annotations

from collections.abc import Mapping

HUB_IDS: Mapping[str, str] = {
    "code_llama2_7b": "meta-llama/CodeLlama-7b-hf",
    "code_llama2_13b": "meta-llama/CodeLlama-13b-hf",
    "code_llama2_70b": "meta-llama/CodeLlama-70b-hf",
    "gemma_2b": "google/gemma-2b",
    "gemma_7b": "google/gemma-7b",
    "gemma2_2b": "google/gemma-2-2b",
    "gemma2_9b": "google/gemma-2-9b",
    "gemma2_27b": "google/gemma-2-27b",
    "llama2_7b": "meta-llama/Llama-2-7b-hf",
    "llama2_13b": "meta-llama/Llama-2-13b-hf",
    "llama2_70b": "meta-llama/Llama-2-70b-hf",
    "llama3_8b": "meta-llama/Meta-Llama-3-8B-Instruct",
    "llama3_70b": "meta-llama/Meta-Llama-3-70B-Instruct",
    "llama3_1_8b": "meta-llama/Llama-3.1-8B",
    "llama3_1_70b": "meta-llama/Llama-3.1-70B",
    "llama3_1_405b": "meta-llama/Meta-Llama-3.1-405B-Instruct",
    "llama3_2_1b": "meta-llama/Llama-3.2-1B-Instruct",
    "llama3_2_3b": "meta-llama/Llama-3.2-3B-Instruct",
    "llama3_2_vision_11b": "meta-llama/Llama-3.2-11B-Vision-Instruct",
    "llama3_2_vision_90b": "meta-llama/Llama-3.2-90B-Vision-Instruct",
    "llama3_3_70b": "meta-llama/Llama-3.3-70B-Instruct",
    "mistral_7b": "mistralai/Mistral-7B-v0.1",
    "mistral_reward_7b": "weqweasdas/RM-Mistral-7B",
    "phi3_mini": "microsoft/Phi-3-mini-4k-instruct",
    "phi4_14b": "microsoft/phi-4",
    "qwen2_0_5b": "Qwen/Qwen2-0.5B-Instruct",
    "qwen2_1_5b": "Qwen/Qwen2-1.5B-Instruct",
    "qwen2_7b": "Qwen/Qwen2-7B-Instruct",
    "qwen2_5_0_5b": "Qwen/Qwen2.5-0.5B",
    "qwen2_5_1_5b_base": "Qwen/Qwen2.5-1.5B",
    "qwen2_5_1_5b_instruct": "Qwen/Qwen2.5-1.5B-Instruct",
    "qwen2_5_3b": "Qwen/Qwen2.5-3B-Instruct",
    "qwen2_5_7b_base": "Qwen/Qwen2.5-7B",
    "qwen2_5_7b_instruct": "Qwen/Qwen2.5-7B-Instruct",
    "qwen2_5_14b_base": "Qwen/Qwen2.5-14B",
    "qwen2_5_14b_instruct": "Qwen/Qwen2.5-14B-Instruct",
    "qwen2_5_32b_base": "Qwen/Qwen2.5-32B",
    "qwen2_5_32b_instruct": "Qwen/Qwen2.5-32B-Instruct",
    "qwen2_5_72b_base": "Qwen/Qwen2.5-72B",
    "qwen2_5_72b_instruct": "Qwen/Qwen2.5-72B-Instruct",
}
"""By the builder's name without `lora_` or `qlora_`.

`llama2_reward_7b` has none: no published checkpoint of it is in the Hub's own form."""

TIED = frozenset(
    {
        "gemma_2b", "gemma_7b", "gemma2_2b", "gemma2_9b", "gemma2_27b", "qwen2_0_5b", "qwen2_1_5b",
    }
)  # fmt: skip
"""Builders without `apply_lora_to_output`: their head is the embedding."""

OUTPUT_REFUSED = frozenset(
    {
        "llama3_2_1b", "llama3_2_3b",
        "qwen2_5_0_5b", "qwen2_5_1_5b_base", "qwen2_5_1_5b_instruct", "qwen2_5_3b",
    }
)  # fmt: skip
"""Builders that have `apply_lora_to_output` and raise where it is true, as the head is tied.

Source: `lora_llama3_2` and `lora_qwen2` in the models' `_component_builders.py`."""
