"""The script that people write instead: build on meta, walk the modules, print the known names.

Usage: python reference_inspect.py DIRECTORY  (the directory holds a config.json)
"""

import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM

NAMES = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "c_attn", "c_fc",
    "c_proj",
}  # fmt: skip

config = AutoConfig.from_pretrained(sys.argv[1])
with torch.device("meta"):
    model = AutoModelForCausalLM.from_config(config)
for name, module in model.named_modules():
    if name.rpartition(".")[2] in NAMES:
        print(name, tuple(module.weight.shape))
