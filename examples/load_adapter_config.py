"""Load an `adapter_config.json` in PEFT and inject it into the model on the meta device.

Usage: python load_adapter_config.py MODEL DIRECTORY
"""

import sys

from peft import LoraConfig, get_peft_model

from lorascope.build import build_model
from lorascope.source import resolve

reference, directory = sys.argv[1:]
config = LoraConfig.from_pretrained(directory)
model = get_peft_model(build_model(resolve(reference)), config, low_cpu_mem_usage=True)
print(f"PEFT loads {directory}/adapter_config.json and injects it into {reference}:")
model.print_trainable_parameters()
