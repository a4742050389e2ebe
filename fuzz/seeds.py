"""Plain configurations of every tool, which the mutations start from."""

from __future__ import annotations

from dataclasses import dataclass

from lorascope.core.recipe import Tool


@dataclass(frozen=True, slots=True)
class Seed:
    """One file."""

    tool: Tool
    name: str
    """Of the file, whose ending tells the syntax."""
    text: str


_PEFT = """\
{
  "base_model_name_or_path": "owner/name",
  "peft_type": "LORA",
  "task_type": "CAUSAL_LM",
  "r": 16,
  "lora_alpha": 32,
  "lora_dropout": 0.05,
  "bias": "none",
  "target_modules": ["q_proj", "k_proj", "v_proj", "down_proj", "query_key_value"],
  "exclude_modules": ["lm_head"],
  "modules_to_save": ["embed_tokens"],
  "rank_pattern": {"q_proj": 4, "layers.0.self_attn.v_proj": 8},
  "alpha_pattern": {"q_proj": 8},
  "layers_to_transform": [0, 1, 2],
  "layers_pattern": "layers",
  "use_dora": false,
  "use_rslora": true,
  "init_lora_weights": true,
  "fan_in_fan_out": false,
  "ensure_weight_tying": false,
  "trainable_token_indices": {"embed_tokens": [1, 2]},
  "layer_replication": null,
  "inference_mode": true,
  "revision": null
}
"""
_PEFT_PATTERN = """\
{"base_model_name_or_path": "owner/name", "peft_type": "LORA", "r": 8, "lora_alpha": 16,
 "target_modules": ".*\\\\.(self_attn|cross_attn|mlp)\\\\.(q|k|v|o|up|down)_proj",
 "exclude_modules": "vision_tower", "target_parameters": ["mlp.experts.gate_up_proj"],
 "rank_pattern": {".*_proj": 4, "mlp.(up|down)_proj": 2}, "modules_to_save": ["lm_head"]}
"""
_AXOLOTL = """\
# A run of an evening.
base_model: owner/name
adapter: qlora
load_in_4bit: true
sequence_len: 2048
lora_r: 16
lora_alpha: 32
lora_dropout: 0.05
lora_target_modules:  # the usual ones
  - q_proj
  - v_proj
  - 'gate_proj'
  - "experts.0.up_proj"
lora_target_linear: false
lora_target_parameters: [mlp.experts.gate_up_proj]
lora_modules_to_save:
  - embed_tokens
  - lm_head
lora_rank_pattern:
  q_proj: 4
lora_fan_in_fan_out:
peft_layers_to_transform: [0, 1]
peft_layers_pattern: [layers]
peft_use_dora: yes
peft_init_lora_weights: pissa
datasets:
  - path: some/data
    type: alpaca
"""
_LLAMAFACTORY = """\
### model
model_name_or_path: owner/name
trust_remote_code: true

### method
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
lora_alpha: 16
lora_dropout: 1e-1
lora_target: q_proj, v_proj,up_proj  # commas
additional_target: 'embed_tokens,lm_head'
freeze_vision_tower: true
use_rslora: false
quantization_bit: 4

### dataset
dataset: identity
template: llama3
"""
_SWIFT_YAML = """\
model: owner/name
tuner_type: lora
target_modules:
  - all-linear
  - q_proj
target_regex: null
lora_rank: 8
lora_alpha: 32
modules_to_save: [lm_head]
freeze_vit: true
freeze_llm: false
torch_dtype: bfloat16
"""
_SWIFT_SHELL = """\
#!/bin/bash
# two runs
MODEL=owner/name
export RANK="16"
swift sft \\
    --model $MODEL \\
    --tuner_type lora \\
    --target_modules q_proj 'v_proj' "up_proj" \\
    --lora_rank ${RANK:-8} \\
    --lora_alpha 32 \\
    --modules_to_save lm_head \\
    --freeze_vit true \\
    --torch_dtype bfloat16 && echo done
swift rlhf --rlhf_type dpo --model $MODEL --target_regex '.*\\.q_proj' --lora_rank 4
"""
_TRL_YAML = """\
model_name_or_path: owner/name
use_peft: true
lora_r: 32
lora_alpha: 16
lora_dropout: 0.1
lora_target_modules:
- q_proj
- v_proj
lora_modules_to_save: [lm_head]
lora_task_type: CAUSAL_LM
use_dora: false
load_in_4bit: true
learning_rate: 2.0e-4
"""
_TRL_SHELL = """\
TARGETS=(q_proj k_proj)
for lr in 1e-4 2e-4; do
  accelerate launch --num_processes 2 trl/scripts/sft.py \\
    --model_name_or_path owner/name --use_peft --lora_r 16 --lora_alpha=8 \\
    --lora_target_modules "${TARGETS[@]}" --learning_rate $lr
done
trl dpo --model_name_or_path owner/name --use_peft --lora_target_modules all-linear <<'END'
text
END
"""
_TORCHTUNE = """\
output_dir: /tmp/torchtune/llama3_1_8B/lora
model:
  _component_: torchtune.models.llama3_1.lora_llama3_1_8b
  lora_attn_modules: ['q_proj', 'v_proj', 'output_proj']
  apply_lora_to_mlp: True
  apply_lora_to_output: False
  lora_rank: 8
  lora_alpha: 16
  lora_dropout: 0.0
  use_dora: False
tokenizer:
  _component_: torchtune.models.llama3.llama3_tokenizer
  path: ${output_dir}/tokenizer.model
checkpointer:
  _component_: torchtune.training.FullModelHFCheckpointer
  checkpoint_dir: owner/name
"""
_MLX = """\
model: owner/name
train: true
fine_tune_type: lora
num_layers: 2
lora_parameters:
  keys: ["self_attn.q_proj", "self_attn.v_proj"]
  rank: 8
  scale: 20.0
  dropout: 0.0
"""

SEEDS = (
    Seed(Tool.PEFT, "adapter_config.json", _PEFT),
    Seed(Tool.PEFT, "adapter_config.json", _PEFT_PATTERN),
    Seed(Tool.AXOLOTL, "train.yaml", _AXOLOTL),
    Seed(Tool.LLAMAFACTORY, "sft.yaml", _LLAMAFACTORY),
    Seed(Tool.MS_SWIFT, "swift.yml", _SWIFT_YAML),
    Seed(Tool.MS_SWIFT, "swift.sh", _SWIFT_SHELL),
    Seed(Tool.TRL, "trl.yaml", _TRL_YAML),
    Seed(Tool.TRL, "trl.sh", _TRL_SHELL),
    Seed(Tool.TORCHTUNE, "8B_lora.yaml", _TORCHTUNE),
    Seed(Tool.MLX_LM, "lora.yaml", _MLX),
)
