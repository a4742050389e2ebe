"""Hand-made results of checking, on the inventories of `builders`."""

from __future__ import annotations

from typing import Any

from plans import match_of

import builders
from lorascope.checking.checked import Checked, CheckedFile
from lorascope.checking.subject import Subject
from lorascope.core.errors import ModelReferenceError, RecipeError, UnknownFormatError
from lorascope.core.finding import Finding
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Edit, Recipe, Spot, Tool
from lorascope.core.spec import LoraSpec
from lorascope.matching import Match

LLAMA = builders.llama()
TEXT = """\
{
  "base_model_name_or_path": "owner/tiny",
  "target_modules": ["q_proj", "v_proj", "vproj"]
}
"""


def spot_of(text: str, part: str) -> Spot:
    """Where a part stands in a text for the first time."""
    start = text.index(part)
    line_start = text.rfind("\n", 0, start) + 1
    line = text.count("\n", 0, start) + 1
    return Spot(start, start + len(part), line, start - line_start + 1)


def finding_of(code: str = "LT002", severity: str = "warning", **changes: Any) -> Finding:
    """A finding about `vproj` in `TEXT`."""
    known: dict[str, Any] = {
        "entry": "vproj",
        "message": "It matches no module.",
        "hint": "Write v_proj.",
        "where": "target_modules",
        "spot": spot_of(TEXT, '"vproj"'),
        "edits": (Edit("target_modules", "vproj", ("v_proj",)),),
    }
    return Finding(code, severity, **(known | changes))


def checked_of(
    *findings: Finding,
    inventory: Inventory | None = LLAMA,
    match: Match | None = None,
    recipe: dict[str, Any] | None = None,
    subject: dict[str, Any] | None = None,
    **changes: Any,
) -> Checked:
    """A configuration that asks for `q_proj`, `v_proj` and a misspelt name."""
    if match is None and inventory is not None:
        match = match_of(inventory)
    spec = LoraSpec(r=8, lora_alpha=16, target_modules=("q_proj", "v_proj", "vproj"))
    stated = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj", "vproj"]}
    known: dict[str, Any] = {"base_model": "owner/tiny"} | (recipe or {})
    origin = known.pop("origin", "adapter/adapter_config.json")
    written = Recipe(known.pop("tool", Tool.PEFT), origin, stated, **known)
    values: dict[str, Any] = {
        "inventory": inventory,
        "match": match,
        "entries": () if match is None else match.entries,
        "refused": None if match is None else match.refused,
        "peft_version": "0.21.2",
    }
    return Checked(Subject(written, spec, spec, **(values | (subject or {}))), findings, **changes)


def file_of(*checks: Checked, text: str | None = TEXT, path: str | None = None) -> CheckedFile:
    """A file with these configurations."""
    return CheckedFile(path or checks[0].recipe.origin, checks, text)


UNREAD = CheckedFile("broken.yaml", error=RecipeError("broken.yaml is no YAML.", "Mend line 3."))
LEFT_OUT = CheckedFile(
    "configs/ci.yaml", text="on: push\n", error=UnknownFormatError("No LoRA."), is_left_out=True
)
UNKNOWN_MODEL = checked_of(
    finding_of("LT006", "error", edits=()),
    inventory=None,
    recipe={"origin": "train.yaml", "tool": Tool.AXOLOTL, "name": "line 12"},
    problem=ModelReferenceError("The Hub has no owner/tiny.", "Name it as MODEL."),
    notes=("Its tensors are not compared.",),
)


def some_files() -> tuple[CheckedFile, ...]:
    """Findings of each severity; one without its model, one unread, one of no concern."""
    findings = (
        finding_of("LT001", "error"),
        finding_of(),
        finding_of("LT032", "info", entry="", where="", spot=None, edits=()),
    )
    return file_of(checked_of(*findings)), file_of(UNKNOWN_MODEL), UNREAD, LEFT_OUT
