"""Axolotl: its schema over the file, then `load_lora`."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import Job, base_model, lora_of, main


def done(job: Job) -> dict[str, Any]:
    """Validate the file as `axolotl train` does, and let Axolotl adapt the model."""
    import yaml
    from axolotl.loaders.adapter import load_lora
    from axolotl.utils.config import validate_config
    from axolotl.utils.dict import DictDefault

    said = yaml.safe_load(Path(job["file"]).read_text())
    said |= {"datasets": [{"path": "none", "type": "alpaca"}], "output_dir": "/tmp/out"}
    said |= {"micro_batch_size": 1, "gradient_accumulation_steps": 1, "learning_rate": 1e-4}
    config = validate_config(DictDefault(said))
    model, _ = load_lora(base_model(job), config)
    return lora_of(model)


main(version("axolotl"), done)
