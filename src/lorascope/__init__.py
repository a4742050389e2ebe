"""lorascope: know what LoRA will touch before you train."""

from typing import TYPE_CHECKING

from lorascope._version import __version__

if TYPE_CHECKING:
    from lorascope.api import adapt, check, diff, export, inspect, match, plan, predict_memory

__all__ = [
    "__version__",
    "adapt",
    "check",
    "diff",
    "export",
    "inspect",
    "match",
    "plan",
    "predict_memory",
]


def __getattr__(name: str) -> object:
    # The verbs are imported when first asked for, so that `import lorascope` stays quick.
    if name in __all__:
        from lorascope import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
