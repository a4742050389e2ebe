"""PEFT's own way to see what configurations do: inject each into a model on meta and look.

Usage: python reference_check.py DIRECTORY, which holds one `adapter_config.json` a folder, or is
such a folder. Prints the adapted modules and trainable parameters of each, or PEFT's error.
"""

import sys
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

warnings.simplefilter("ignore")
for path in sorted(Path(sys.argv[1]).rglob("adapter_config.json")):
    lora = LoraConfig.from_pretrained(str(path.parent))
    config = AutoConfig.from_pretrained(lora.base_model_name_or_path)
    auto = AutoModelForImageTextToText if hasattr(config, "vision_config") else AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(config)
    try:
        wrapped = get_peft_model(model, lora, low_cpu_mem_usage=True)
    except ValueError as error:
        print(path, error)
        continue
    print(
        path, len(wrapped.base_model.targeted_module_names), *wrapped.get_nb_trainable_parameters()
    )
