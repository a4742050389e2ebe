"""The plans that are tried on every model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import lorascope
from lorascope.api.configured import configured
from lorascope.cli import main as cli
from lorascope.core.errors import LorascopeError
from lorascope.core.export import Exported, Trainer
from lorascope.core.inventory import Inventory
from lorascope.exporting.export import export
from lorascope.matching.configured import Configured

REFUSED = 2
"""What `lorascope export` returns where something would be lost."""
ABOUT: Mapping[str, str] = {
    "qv": "the default preset: query and value",
    "ranks": "query and value, and the feed-forward at half their rank and another scale",
    "all-linear": "every linear of the blocks",
    "some-layers": "query and value of the last two layers",
    "saved": "query and value; the head trained whole",
}


@cache
def configurations(reference: str) -> tuple[tuple[str, Configured], ...]:
    """Return each plan worked out on a model, without those that it has no roles for."""
    return tuple(_configurations(reference))


def _configurations(reference: str) -> Iterator[tuple[str, Configured]]:
    inventory = _inventory(reference)
    for name in ABOUT:
        try:
            yield name, configured(_fields(name, inventory), inventory)
        except LorascopeError as error:
            print(f"{name} on {reference}: {error}")


@cache
def _inventory(reference: str) -> Inventory:
    return lorascope.inspect(reference)


def _fields(name: str, inventory: Inventory) -> dict[str, Any]:
    """Return PEFT's fields; dropout is left out, as it shows in no module."""
    layers = inventory.model.num_hidden_layers or 2
    options: dict[str, Any] = {
        "ranks": {"preset": "extended"},
        "all-linear": {"preset": "all-linear"},
        "some-layers": {"preset": "qv", "layers": f"{layers - 2}-{layers - 1}"},
    }.get(name, {"preset": "qv"})
    fields = dict(lorascope.plan(inventory, rank=8, dropout=0.0, **options).adapter_config)
    if name == "ranks":
        fields["alpha_pattern"] = dict.fromkeys(fields.get("rank_pattern") or {}, 24)
    if name == "saved":
        fields["modules_to_save"] = [inventory.model.output_embedding or "lm_head"]
    return fields


def export_by_command(wanted: Configured, to: Trainer, folder: Path) -> Exported:
    """Export one configuration with `lorascope export`; what would be lost is refused first.

    Returns:
        The export, with the text that the command wrote into the folder.

    Raises:
        ExportError: The tool cannot train the model.
        AssertionError: The command does otherwise than the library.
    """
    exported = export(wanted, to)
    plan, file = folder / "adapter_config.json", folder / exported.file_name
    if plan == file:
        plan = folder / "plan" / "adapter_config.json"
        plan.parent.mkdir(exist_ok=True)
    plan.write_text(json.dumps({"peft_type": "LORA", **wanted.fields}))
    file.unlink(missing_ok=True)
    model = wanted.inventory.model.reference
    command = ["export", str(plan), model, "--to", to.value, "--output", str(file)]
    if exported.losses and (_run(command) != REFUSED or file.exists()):
        raise AssertionError(f"{to.value} loses something in {folder}, and is not refused.")
    if _run([*command, "--lossy"]) != 0:
        raise AssertionError(f"`lorascope {' '.join(command)} --lossy` failed.")
    return replace(exported, text=file.read_text())


def _run(command: list[str]) -> int:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return cli.main(command)
