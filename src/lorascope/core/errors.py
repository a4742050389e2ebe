"""Errors that lorascope raises on purpose.

Every message says where, what was got, what was expected and what to do next. Names that come
from outside (paths, config fields, module names) pass through `printable`, so that no control
character or terminal escape reaches a terminal.
"""

from __future__ import annotations

_LONGEST_QUOTE = 200


def printable(text: object, limit: int = _LONGEST_QUOTE) -> str:
    """Return `text` with control and other unprintable characters escaped, at most `limit` long.

    Args:
        text: Anything; `str()` of it is taken.
        limit: Length in characters after which the rest is cut and marked with an ellipsis.
    """
    raw = str(text)
    cut = raw if len(raw) <= limit else raw[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut
    )


class LorascopeError(Exception):
    """Base of all errors that lorascope raises on purpose.

    Attributes:
        what: One sentence: where, what was got and what was expected.
        hint: What to do next, or None if nothing better than the sentence itself is known.
    """

    def __init__(self, what: str, hint: str | None = None) -> None:
        self.what = printable(what, limit=2000)
        self.hint = None if hint is None else printable(hint, limit=2000)
        super().__init__(self.what if hint is None else f"{self.what} {self.hint}")


class ModelReferenceError(LorascopeError):
    """A model reference names nothing that can be read (missing, gated, offline, unknown type)."""


class UnnamedModelError(ModelReferenceError):
    """A configuration names no base model, and none is given."""


class UnknownModelTypeError(ModelReferenceError):
    """The installed transformers has no such model type, or the source names none."""


class ModelConfigError(LorascopeError):
    """A model's config is malformed, contradicts itself or asks for impossible sizes."""


class IgnoredSizesError(ModelConfigError):
    """A config states sizes that its class ignores, so that another model would be built."""


class ModelBuildError(LorascopeError):
    """transformers cannot build the model on the meta device, or built another one than asked."""


class RemoteCodeError(ModelBuildError):
    """The model's class is code of its repository, which runs only with `--trust-remote-code`."""


INSTALL_TORCH = "Install it with: pip install 'lorascope[torch]'"
"""Hint for whatever needs torch, transformers or PEFT."""


class MissingDependencyError(LorascopeError):
    """A package that this request needs is not installed; the hint says which command adds it."""


class SpecificationError(LorascopeError):
    """A LoRA configuration that PEFT itself would refuse; the message says why."""


class UnmodelledError(SpecificationError):
    """A LoRA configuration that PEFT may well take, but on which lorascope cannot say anything."""


class RecipeError(LorascopeError):
    """A file holds no LoRA configuration that can be read: unknown format, bad syntax or type."""


class UnknownFormatError(RecipeError):
    """The text is of no tool that is known."""


class NoLoraError(RecipeError):
    """The file is of a known tool but trains no LoRA."""


class PlanError(LorascopeError):
    """No plan can be made as asked: this model has no such role, or nothing fits the budget."""


class ExportError(LorascopeError):
    """A configuration cannot be written for a tool; the message says what would be lost."""


class AdapterError(LorascopeError):
    """An adapter's files contradict each other, or an engine cannot be given the same adapter."""


class IncomparableError(LorascopeError):
    """Two configurations are for models of different modules, so that nothing can be compared."""


class MemoryPredictionError(LorascopeError):
    """The memory of a training step cannot be predicted: the model's step fails, and why.

    Attributes:
        is_timeout: Whether the step was cut for its time; a like one would take as long.
    """

    is_timeout: bool = False


class OutputError(LorascopeError):
    """A file or directory could not be written; nothing was left half-written."""
