"""Load an `adapter_config.json` in PEFT and inject it into the model on the meta device.

Usage: python load_adapter_config.py MODEL DIRECTORY
"""

import sys
import warnings

from peft import LoraConfig, get_peft_model

from lorascope.build import build_model
from lorascope.source import resolve

warnings.filterwarnings("ignore", category=FutureWarning)  # between PEFT and transformers
reference, directory = sys.argv[1:]
config = LoraConfig.from_pretrained(directory)
base = build_model(resolve(reference))
base.name_or_path = config.base_model_name_or_path
model = get_peft_model(base, config, low_cpu_mem_usage=True)
print(f"PEFT loads {directory}/adapter_config.json and injects it into {reference}:")
model.print_trainable_parameters()
