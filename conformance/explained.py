"""Why named and observed roles differ where they do: one entry a finding, no entry a defect."""

from __future__ import annotations

EXPLAINED: dict[tuple[str, str], str] = {}
"""(model type, folded path) → the reason, read in the model's source."""
