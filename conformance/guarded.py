"""The targets that PEFT refuses on some model types, read from PEFT itself."""

from __future__ import annotations

import inspect
import re

from peft.tuners import tuners_utils

UNGUARDED = ("bamba", "granitemoehybrid", "jamba", "zamba2")
"""Model types with dead targets that PEFT does not guard, whose dead targets must be found."""


def guarded_by_peft() -> tuple[frozenset[str], frozenset[str]]:
    """Return model types and module names of PEFT's guard.

    Source: `_check_lora_target_modules_mamba`, whose two sets are local variables.
    """
    source = inspect.getsource(tuners_utils._check_lora_target_modules_mamba)  # noqa: SLF001
    return _set_in(source, "mamba_model_types"), _set_in(source, "incompatible_modules")


def _set_in(source: str, name: str) -> frozenset[str]:
    found = re.search(rf"\b{name} = {{(.*?)}}", source, re.DOTALL)
    if found is None:
        raise LookupError(f"PEFT's guard has no set called {name} any more")
    return frozenset(re.findall(r'"([^"]+)"', found[1]))
