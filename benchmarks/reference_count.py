"""PEFT's own way to count: inject LoRA into the model on the meta device and ask.

Usage: python reference_count.py DIRECTORY TARGET [TARGET ...]
"""

import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

config = AutoConfig.from_pretrained(sys.argv[1])
with torch.device("meta"):
    model = AutoModelForCausalLM.from_config(config)
lora = LoraConfig(r=8, lora_alpha=16, target_modules=sys.argv[2:], task_type="CAUSAL_LM")
trainable, total = get_peft_model(model, lora, low_cpu_mem_usage=True).get_nb_trainable_parameters()
print(trainable, total)
