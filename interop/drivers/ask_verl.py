"""verl: its Hydra configuration with the overrides, then `_build_lora_module`."""

import shlex
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from common import Job, base_model, lora_of, main


def done(job: Job) -> dict[str, Any]:
    """Compose the settings as `main_ppo` does, and let the FSDP engine adapt the model."""
    import verl
    from hydra import compose, initialize_config_dir

    words = shlex.split(Path(job["file"]).read_text().replace("\\\n", " "), comments=True)
    overrides = words[words.index("verl.trainer.main_ppo") + 1 :]
    folder = str(Path(verl.__file__).parent / "trainer" / "config")
    with initialize_config_dir(folder, version_base=None):
        config = compose("ppo_trainer", overrides).actor_rollout_ref.model
    said = {name: config.get(name) for name in _USED}
    return lora_of(_engine()._build_lora_module(_Settings(said), base_model(job)))


_USED = (
    "lora_rank",
    "lora_alpha",
    "target_modules",
    "target_parameters",
    "exclude_modules",
    "lora_adapter_path",
)


class _Settings(SimpleNamespace):
    """What stands for the engine: the method reads nothing else of it."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(model_config=SimpleNamespace(**said))


def _engine() -> Any:
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

    return FSDPEngine


main(version("verl"), done)
