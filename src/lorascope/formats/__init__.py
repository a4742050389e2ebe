"""LoRA configurations as several tools write them: text in, values out."""

from lorascope.formats.recognize import hand, has_signs, looks_like, read_recipes, tools_of

__all__ = ["hand", "has_signs", "looks_like", "read_recipes", "tools_of"]
