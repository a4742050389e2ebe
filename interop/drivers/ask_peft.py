"""PEFT: `LoraConfig.from_pretrained`, `get_peft_model`."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import Job, base_model, lora_of, main


def done(job: Job) -> dict[str, Any]:
    """Load the configuration and inject it."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig.from_pretrained(str(Path(job["file"]).parent))
    return lora_of(get_peft_model(base_model(job), config))


main(version("peft"), done)
