"""LLaMA-Factory: `get_train_args` of the file, then `init_adapter`."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import Job, base_model, lora_of, main


def done(job: Job) -> dict[str, Any]:
    """Parse the file and let LLaMA-Factory set up its adapter."""
    import yaml
    from llamafactory.hparams.parser import _TRAIN_ARGS, _parse_args
    from llamafactory.model.adapter import init_adapter
    from transformers import HfArgumentParser

    said = yaml.safe_load(Path(job["file"]).read_text())
    said |= {"output_dir": "/tmp/out", "do_train": True, "dataset": "none", "template": "default"}
    said |= {"use_cpu": True, "bf16": False}
    model_args, _, _, finetuning_args, _ = _parse_args(HfArgumentParser(_TRAIN_ARGS), said)
    model = base_model(job)
    model_args.model_max_length = None
    tuned = init_adapter(model.config, model, model_args, finetuning_args, is_trainable=True)
    return lora_of(tuned)


main(version("llamafactory"), done)
