"""NeMo AutoModel: its YAML loader's `instantiate`, then `apply_lora_to_linear_modules`."""

from importlib.metadata import version
from typing import Any

from common import Job, base_model, main


def done(job: Job) -> dict[str, Any]:
    """Read the file as the recipes do, and patch the model's linears."""
    from nemo_automodel.components._peft.lora import apply_lora_to_linear_modules
    from nemo_automodel.components.config.loader import load_yaml_config

    config = load_yaml_config(job["file"]).peft.instantiate()
    model = base_model(job)
    apply_lora_to_linear_modules(model, config)
    adapted = {
        name: [module.dim, module.scale]
        for name, module in model.named_modules()
        if hasattr(module, "lora_A")
    }
    return {"adapted": adapted, "saved": []}


main(version("nemo-automodel"), done)
