"""What a LoRA configuration does to one model: the values that `match` returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lorascope.core.spec import LoraSpec


class Reason(StrEnum):
    """Why a module or parameter is adapted."""

    EXACT_NAME = "exact name"
    """An entry of the list is the full name."""
    LIST_SUFFIX = "list suffix"
    """The full name ends with a dot and an entry of the list."""
    REGEX = "full-match regex"
    """`target_modules` is a string and matches the whole name."""
    ALL_LINEAR = "all-linear"
    TARGET_PARAMETER = "target parameter"
    REWRITE = "expert rewrite"
    """An old expert name (`gate_proj`, `w1`, …) that PEFT rewrites to an expert parameter."""
    TIED = "tied weights"
    """Added by `ensure_weight_tying`, because a module it shares its weight with is targeted."""
    DEFAULT = "PEFT default"
    """`target_modules` was not given; PEFT's default for the model type chose it."""


class Where(StrEnum):
    """The field of the configuration that an entry stands in."""

    TARGET_MODULES = "target_modules"
    EXCLUDE_MODULES = "exclude_modules"
    TARGET_PARAMETERS = "target_parameters"
    MODULES_TO_SAVE = "modules_to_save"
    RANK_PATTERN = "rank_pattern"
    ALPHA_PATTERN = "alpha_pattern"
    LAYERS_TO_TRANSFORM = "layers_to_transform"
    LAYERS_PATTERN = "layers_pattern"


@dataclass(frozen=True, slots=True)
class MatchedTarget:
    """One module or parameter that gets LoRA weights."""

    path: str
    """Full name of the module, or of the parameter if `is_parameter`."""
    is_parameter: bool
    """True if `target_parameters` (or the expert rewrite) reached a parameter directly."""
    rank: int
    alpha: float
    scaling: float
    """alpha / rank, or alpha / √rank with `use_rslora`."""
    params: int
    """LoRA parameters here: all tensors that PEFT makes, DoRA magnitudes and `lora_bias` too."""
    entry: str
    """The entry or pattern that chose it, as the user (or PEFT's default) wrote it."""
    reason: Reason
    rank_key: str | None = None
    """Key of `rank_pattern` that gave the rank; None if `r` did."""
    alpha_key: str | None = None
    """Key of `alpha_pattern` that gave alpha; None if `lora_alpha` did."""


@dataclass(frozen=True, slots=True)
class SavedModule:
    """One module that is copied, trained and saved whole."""

    path: str
    params: int
    """Parameters that this copy adds to the trainable ones."""
    entry: str
    """The entry of `modules_to_save` that chose it."""


@dataclass(frozen=True, slots=True)
class TrainedTokens:
    """Rows of one embedding that `trainable_token_indices` trains."""

    path: str
    tokens: int
    """Number of rows."""
    params: int
    """Parameters added; 0 where the rows are shared with a tied embedding counted before."""


@dataclass(frozen=True, slots=True)
class EntryMatch:
    """What one entry of the configuration hits."""

    where: Where
    entry: str
    matched: int
    """Number of modules or parameters it decides about."""
    paths: tuple[str, ...]
    """All of them, in model order."""
    reason: str
    """One sentence: why these, or why none."""
    nearest: tuple[str, ...] = ()
    """Where it names nothing: up to three real names that may be meant, or the ends of such."""


@dataclass(frozen=True, slots=True)
class Match:
    """What PEFT does with a configuration and a model."""

    spec: LoraSpec
    """As asked."""
    effective: LoraSpec
    """As PEFT leaves it: defaults filled in, all-linear spelled out, experts rewritten."""
    targets: tuple[MatchedTarget, ...]
    """In the order in which PEFT adapts them; empty if PEFT refuses."""
    saved: tuple[SavedModule, ...]
    trained_tokens: tuple[TrainedTokens, ...]
    entries: tuple[EntryMatch, ...]
    """One for each entry of the configuration as asked, in its order."""
    excluded: tuple[str, ...]
    """Modules that the targets name and `exclude_modules` takes out again."""
    trainable_params: int
    """As PEFT's `get_nb_trainable_parameters()[0]`."""
    bias_params: int = 0
    """Of these, bias terms of the base model that `bias` makes trainable."""
    warnings: tuple[str, ...] = ()
    """What PEFT would warn of, one sentence each."""
    peft_version: str = ""
    """Whose behaviour this is."""
    refused: str | None = None
    """Why PEFT refuses the configuration on this model; None if it does not. Only `explain` fills
    this in. Entries then say what they name, and nothing is adapted, saved or counted."""

    def entries_of(self, where: Where) -> Iterator[EntryMatch]:
        """The entries of one field."""
        return (entry for entry in self.entries if entry.where is where)
