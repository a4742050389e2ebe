"""What every driver does: read the jobs, try each, write what the tool made of them."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

Job = dict[str, str]
"""`file`: what was exported; `model`: directory of the base model; `base`: its name."""


def main(version: str, done: Callable[[Job], dict[str, Any]]) -> None:
    """Try each job of the file that the first argument names; results go to the second.

    Args:
        version: Of the tool.
        done: Returns `adapted` {path: [rank, scale]} and `saved` [path] of one job.
    """
    jobs = json.loads(Path(sys.argv[1]).read_text())
    results = [_tried(job, done) for job in jobs]
    Path(sys.argv[2]).write_text(json.dumps({"version": version, "results": results}))


def _tried(job: Job, done: Callable[[Job], dict[str, Any]]) -> dict[str, Any]:
    try:
        return done(job)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def base_model(job: Job) -> Any:
    """Return the base model, loaded by transformers."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(job["model"])
    return getattr(transformers, config.architectures[0]).from_pretrained(job["model"])


def lora_of(model: Any) -> dict[str, Any]:
    """Return what PEFT put into a model, under the names of the base model."""
    from peft.tuners.lora import LoraLayer
    from peft.utils import ModulesToSaveWrapper

    adapted: dict[str, list[float]] = {}
    saved = []
    for name, module in model.named_modules():
        path = name.removeprefix("base_model.model.").replace(".base_layer", "")
        if isinstance(module, ModulesToSaveWrapper):
            saved.append(path)
        elif isinstance(module, LoraLayer) and "default" in module.r:
            parameter = getattr(module, "parameter_name", None)
            if parameter is not None:
                path = f"{path}.{parameter}"
            adapted[path] = [module.r["default"], module.scaling["default"]]
    return {"adapted": adapted, "saved": saved}
