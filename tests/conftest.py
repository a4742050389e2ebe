"""Hypothesis profiles: `ci` for every run, `sweep` for thousands of examples.

Being here, this file also puts `tests/` on the path, so that tests can import `builders`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_COMMON = {
    "deadline": None,
    "suppress_health_check": [
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
}
settings.register_profile("ci", max_examples=75, derandomize=True, database=None, **_COMMON)
settings.register_profile("sweep", max_examples=3000, print_blob=True, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
