"""LoRA configurations as several tools write them: text in, values out."""

from lorascope.formats.edit import apply_edits
from lorascope.formats.recognize import DIALECTS, hand, looks_like, read_recipes

__all__ = ["DIALECTS", "apply_edits", "hand", "looks_like", "read_recipes"]
