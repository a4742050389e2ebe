"""The verbs of lorascope as functions: from a reference, a module or an inventory to an answer.

Each is imported when first asked for, and what only a build needs where it is needed, so that an
answer from the cache is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lorascope.api.adapting import adapt
    from lorascope.api.checks import CheckRequest, check, check_files, check_text
    from lorascope.api.differences import diff
    from lorascope.api.exports import export
    from lorascope.api.fixes import Mended, mend, write_mended
    from lorascope.api.inspecting import inspect
    from lorascope.api.libraries import installed_peft
    from lorascope.api.matches import match, read_spec
    from lorascope.api.plans import fit, plan, read_scores
    from lorascope.api.prediction import predict_memory, predicting, predictor

__all__ = [
    "CheckRequest",
    "Mended",
    "adapt",
    "check",
    "check_files",
    "check_text",
    "diff",
    "export",
    "fit",
    "inspect",
    "installed_peft",
    "match",
    "mend",
    "plan",
    "predict_memory",
    "predicting",
    "predictor",
    "read_scores",
    "read_spec",
    "write_mended",
]

_FILES = {
    "adapting": ("adapt",),
    "checks": ("CheckRequest", "check", "check_files", "check_text"),
    "differences": ("diff",),
    "exports": ("export",),
    "fixes": ("Mended", "mend", "write_mended"),
    "inspecting": ("inspect",),
    "libraries": ("installed_peft",),
    "matches": ("match", "read_spec"),
    "plans": ("fit", "plan", "read_scores"),
    "prediction": ("predict_memory", "predicting", "predictor"),
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _FILE_OF:
        return getattr(import_module(f"lorascope.api.{_FILE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
