"""The real model class on the meta device, walked into an inventory. Imports torch."""

from lorascope.build.meta import build, build_model, inventory_of

__all__ = ["build", "build_model", "inventory_of"]
