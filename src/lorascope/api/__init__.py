"""The verbs of lorascope as functions: from a reference, a module or an inventory to an answer.

What only a build needs is imported where it is needed, so that an answer from the cache is quick.
"""

from lorascope.api.checks import CheckRequest, check, check_files, check_text
from lorascope.api.fixes import Mended, mend, write_mended
from lorascope.api.inspecting import inspect
from lorascope.api.libraries import installed_peft
from lorascope.api.matches import match, read_spec
from lorascope.api.plans import fit, plan, read_scores
from lorascope.api.prediction import predict_memory, predicting, predictor

__all__ = [
    "CheckRequest",
    "Mended",
    "check",
    "check_files",
    "check_text",
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
