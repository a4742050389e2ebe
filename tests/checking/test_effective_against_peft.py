"""What check says is trained is what PEFT's own injection trains, whoever wrote the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from check_models import inventory
from peft import LoraConfig, get_peft_model
from transformers import T5Config, T5ForConditionalGeneration

from lorascope.build import build_model
from lorascope.checking import subject_of
from lorascope.formats import read_recipes
from lorascope.source.resolver import resolve
from match_judge import Verdict, of_lorascope, of_peft

EXAMPLES = Path(__file__).parents[2] / "examples" / "check"
SWIFT = (
    "swift sft --model google/gemma-3-4b-it --tuner_type lora --target_modules all-linear"
    " --lora_rank 4 --lora_alpha 8\n"
)
TORCHTUNE = """\
model:
  _component_: torchtune.models.phi3.lora_phi3_mini
  lora_attn_modules: [q_proj, v_proj, output_proj]
  apply_lora_to_mlp: true
  lora_rank: 4
  lora_alpha: 8
"""
AXOLOTL_MOE = """\
base_model: Qwen/Qwen3-30B-A3B
adapter: lora
lora_r: 8
lora_alpha: 16
lora_target_modules: [q_proj, gate_proj, up_proj, down_proj]
"""


def _example(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("origin", "text", "model"),
    [
        ("adapter_config.json", _example("phi-3-adapter/adapter_config.json"), "Phi-3-mini"),
        ("adapter_config.json", _example("qwen3-moe-adapter/adapter_config.json"), "Qwen3-30B-A3B"),
        ("axolotl.yaml", _example("gemma-3.axolotl.yaml"), "Gemma-3-4B"),
        ("axolotl-moe.yaml", AXOLOTL_MOE, "Qwen3-30B-A3B"),
        ("llamafactory.yaml", _example("gemma-3.llamafactory.yaml"), "Gemma-3-4B"),
        ("mlx.yaml", _example("llama.mlx-lm.yaml"), "Llama-3.1-8B"),
        ("trl.sh", _example("qwen.trl.sh"), "Qwen2.5-0.5B"),
        ("swift.sh", SWIFT, "Gemma-3-4B"),
        ("torchtune.yaml", TORCHTUNE, "Phi-3-mini"),
    ],
)
def test_effective_configuration_is_what_peft_trains(origin: str, text: str, model: str) -> None:
    [recipe] = read_recipes(text, origin)
    subject = subject_of(recipe, inventory(model))
    verdict = of_peft(build_model(resolve(model)), subject.spec)
    if isinstance(verdict, Verdict):
        assert subject.refused is None
        assert subject.match is not None
        assert of_lorascope(subject.match) == verdict
    else:
        assert subject.refused is not None


def test_task_type_changes_nothing_for_lora_on_an_encoder_and_decoder() -> None:
    """CAUSAL_LM on T5 is no finding: PEFT trains and generates as with SEQ_2_SEQ_LM."""
    sizes = {"d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 1, "num_heads": 4}
    config = T5Config(**sizes, vocab_size=32, decoder_start_token_id=0)
    ids, answers = torch.arange(3, 13).reshape(2, 5), []
    for task in ("CAUSAL_LM", "SEQ_2_SEQ_LM"):
        torch.manual_seed(0)
        lora = LoraConfig(r=2, target_modules=["q"], task_type=task, init_lora_weights=False)
        model = get_peft_model(T5ForConditionalGeneration(config), lora).eval()
        written = model.generate(input_ids=ids, max_new_tokens=4).tolist()
        answers.append((float(model(input_ids=ids, labels=ids).loss.detach()), written))
    assert answers[0] == answers[1]
