"""That a file's LoRA settings are not what is trained, as its training goes on with an adapter."""

from __future__ import annotations

from lorascope.core.recipe import Recipe
from lorascope.formats.resuming import resumed


def resume_notes(recipe: Recipe) -> tuple[str, ...]:
    """Return the note; nothing where training starts with a new adapter."""
    found = resumed(recipe)
    if found is None:
        return ()
    key, adapter = found
    return (
        f"{recipe.origin} resumes {adapter} ({key}): its configuration is that adapter's, and the"
        " LoRA settings of this file are not used.",
    )
