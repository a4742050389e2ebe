"""torchtune: `config.parse`'s OmegaConf, then `config.instantiate` of the model's builder."""

from importlib.metadata import version
from typing import Any

from common import Job, main


def done(job: Job) -> dict[str, Any]:
    """Build the model that the file names, without memory for its weights."""
    import torch
    from omegaconf import OmegaConf
    from torchtune import config
    from torchtune.modules.peft import DoRALinear, LoRALinear

    said = OmegaConf.load(job["file"])
    with torch.device("meta"):
        model = config.instantiate(said.model)
    adapted = {
        name: [module.rank, module.alpha / module.rank]
        for name, module in model.named_modules()
        if isinstance(module, (LoRALinear, DoRALinear))
    }
    return {"adapted": adapted, "saved": []}


main(version("torchtune"), done)
