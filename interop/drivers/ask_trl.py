"""TRL: `TrlParser` with the script's classes, `get_peft_config`, then PEFT."""

import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import Job, base_model, lora_of, main


def done(job: Job) -> dict[str, Any]:
    """Parse the command or file as `trl sft` does, and inject what it hands to PEFT."""
    from peft import get_peft_model
    from trl import ModelConfig, ScriptArguments, SFTConfig, TrlParser, get_peft_config

    parser = TrlParser((ScriptArguments, SFTConfig, ModelConfig))
    script, training, model_args = parser.parse_args_and_config(_arguments(job["file"]))
    del script, training
    return lora_of(get_peft_model(base_model(job), get_peft_config(model_args)))


def _arguments(file: str) -> list[str]:
    if file.endswith(".yaml"):
        return ["--config", file, "--output_dir", "/tmp/out", "--use_cpu", "--bf16", "false"]
    words = shlex.split(Path(file).read_text().replace("\\\n", " "), comments=True)
    while words and not words[0].startswith("--"):
        words.pop(0)
    more = ["--output_dir", "/tmp/out", "--use_cpu", "true", "--bf16", "false"]
    return [*words, "--dataset_name", "none", *more]


main(version("trl"), done)
