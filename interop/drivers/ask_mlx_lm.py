"""mlx-lm: its option parser and configuration file, then `linear_to_lora_layers`."""

from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from common import Job, main


def done(job: Job) -> dict[str, Any]:
    """Read the file as `mlx_lm.lora --config` does, and convert the layers."""
    import yaml
    from mlx_lm import lora
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load_model

    args = vars(lora.build_parser().parse_args(["--config", job["file"]]))
    config = yaml.load(Path(args["config"]).read_text(), lora.yaml_loader)  # noqa: S506
    for name, value in config.items():
        if args.get(name) is None:
            args[name] = value
    for name, value in lora.CONFIG_DEFAULTS.items():
        if args.get(name) is None:
            args[name] = value
    said = SimpleNamespace(**args)
    model, _ = load_model(Path(job["model"]))
    model.freeze()
    if said.num_layers > len(model.layers):
        raise ValueError("more layers than the model has")
    is_dora = said.fine_tune_type == "dora"
    linear_to_lora_layers(model, said.num_layers, said.lora_parameters, use_dora=is_dora)
    adapted = {
        name: [_rank(module), float(module.scale)]
        for name, module in model.named_modules()
        if type(module).__name__.startswith(("LoRA", "DoRA"))
    }
    return {"adapted": adapted, "saved": []}


def _rank(module: Any) -> int:
    """Return the rank; factors are (in, rank), or (experts, rank, in)."""
    return int(module.lora_a.shape[-2] if module.lora_a.ndim == 3 else module.lora_a.shape[-1])


main(version("mlx-lm"), done)
