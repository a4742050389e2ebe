"""LitGPT: the command's own parser (jsonargparse), then `GPT` with LoRA."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import Job, main


def done(job: Job) -> dict[str, Any]:
    """Parse the file as `litgpt finetune_lora --config` does, and build the model."""
    import torch
    from jsonargparse import ArgumentParser
    from litgpt.finetune.lora import setup
    from litgpt.lora import GPT, Config, LoRAQKVLinear, mark_only_lora_as_trainable

    parser = ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_function_arguments(setup, fail_untyped=False)
    said = parser.parse_args(["--config", job["file"]])
    options = {name: said[name] for name in vars(said) if name.startswith("lora_")}
    config = Config.from_name(Path(said.checkpoint_dir).name, **options)
    with torch.device("meta"):
        model = GPT(config)
    mark_only_lora_as_trainable(model)
    trained = {
        name.rpartition(".")[0] for name, each in model.named_parameters() if each.requires_grad
    }
    adapted = {}
    for name in trained:
        module = model.get_submodule(name)
        parts = [""]
        if isinstance(module, LoRAQKVLinear):
            on = zip("qkv", module.enable_lora, strict=True)
            parts = [f".{part}" for part, is_on in on if is_on]
        adapted |= {f"{name}{part}": [module.r, module.scaling] for part in parts}
    return {"adapted": adapted, "saved": []}


main(version("litgpt"), done)
