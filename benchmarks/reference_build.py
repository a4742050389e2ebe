"""The least that any prediction on the real model class takes: import the libraries and build it.

Usage: python reference_build.py DIRECTORY
"""

import sys

import peft
import torch
from transformers import AutoConfig, AutoModelForCausalLM

config = AutoConfig.from_pretrained(sys.argv[1])
with torch.device("meta"):
    model = AutoModelForCausalLM.from_config(config)
print(peft.__version__, sum(parameter.numel() for parameter in model.parameters()))
