"""PEFT's own default targets for a model type, read from the installed PEFT without importing it.

Importing PEFT imports torch and takes seconds; the table is a literal in its source.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_TABLE = "TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING"

Targets = list[str] | str


def default_targets(model_type: str | None) -> Targets | None:
    """Return the targets that the installed PEFT takes if none are given.

    A list of names or, for a few types, one regular expression.

    Args:
        model_type: As the model's config states it.

    Returns:
        None if PEFT has no default for this type, or if PEFT is not installed.
    """
    table = installed_table()
    return None if table is None or model_type is None else table.get(model_type)


@cache
def installed_table() -> Mapping[str, Targets] | None:
    """Return PEFT's whole table, or None if PEFT is not installed or keeps it elsewhere."""
    spec = find_spec("peft")
    if spec is None or spec.origin is None:
        return None
    constants = Path(spec.origin).parent / "utils" / "constants.py"
    try:
        tree = ast.parse(constants.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(name, ast.Name) and name.id == _TABLE for name in node.targets
        ):
            return _literal_rows(node.value)
    return None


def _literal_rows(table: ast.expr) -> Mapping[str, Targets] | None:
    try:
        rows = ast.literal_eval(table)
    except ValueError:
        return None
    return {str(key): value for key, value in rows.items() if isinstance(value, (list, str))}
