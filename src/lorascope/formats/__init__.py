"""LoRA configurations as several tools write them: text in, values out."""

from lorascope.formats.recognize import hand, looks_like, read_recipes

__all__ = ["hand", "looks_like", "read_recipes"]
