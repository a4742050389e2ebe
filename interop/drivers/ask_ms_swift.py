"""ms-swift: `SftArguments` of the command, then `prepare_adapter`."""

import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import Job, base_model, lora_of, main

_TYPES = {
    "tiny-llama": ("llama", "llama3"),
    "tiny-qwen2": ("qwen2", "qwen"),
    "tiny-mistral": ("mistral", "mistral_nemo"),
    "tiny-phi3": ("phi3", "phi3"),
    "tiny-mixtral": ("mixtral", "llama"),
    "tiny-qwen2_vl": ("qwen2_vl", "qwen2_vl"),
}
"""Directory → model type and template, which ms-swift cannot tell from a config alone."""


def done(job: Job) -> dict[str, Any]:
    """Parse the command as `swift sft` does, and let ms-swift adapt the model."""
    from swift.arguments import SftArguments
    from swift.pipelines.train.tuner import prepare_adapter
    from swift.utils import parse_args

    text = Path(job["file"]).read_text().replace("\\\n", " ")
    words = shlex.split(text, comments=True)
    flags = words[next(i for i, word in enumerate(words) if word.startswith("--")) :]
    model_type, template = _TYPES[Path(job["model"]).name]
    flags += ["--model_type", model_type, "--template", template, "--dataset", "none"]
    flags += ["--torch_dtype", "float32", "--output_dir", "/tmp/out", "--use_cpu", "true"]
    args, unknown = parse_args(SftArguments, flags)
    if unknown:
        raise ValueError(f"not parsed: {unknown}")
    model = base_model(job)
    model.model_meta, model.model_info = args.model_meta, args.model_info
    return lora_of(prepare_adapter(args, model))


main(version("ms-swift"), done)
