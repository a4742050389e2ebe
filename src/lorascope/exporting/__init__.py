"""Write a LoRA configuration in another tool's words, and say what that tool cannot."""

from lorascope.exporting.export import export, export_into

__all__ = ["export", "export_into"]
