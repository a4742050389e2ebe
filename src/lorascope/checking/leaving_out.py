"""How to keep LoRA off some modules: by an entry's removal, or by what a tool can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lorascope.checking.naming import endings, quoted
from lorascope.checking.reaching import Reach, reached
from lorascope.checking.subject import Subject
from lorascope.core.inventory import Module
from lorascope.core.recipe import Edit, Tool

_CANNOT_SAY: Mapping[Tool, frozenset[str]] = {
    Tool.AXOLOTL: frozenset({"exclude_modules"}),
    Tool.LLAMAFACTORY: frozenset(
        {
            "exclude_modules",
            "target_parameters",
            "trainable_token_indices",
            "ensure_weight_tying",
        }
    ),
    Tool.MS_SWIFT: frozenset({"exclude_modules", "trainable_token_indices", "ensure_weight_tying"}),
    Tool.TRL: frozenset({"exclude_modules", "trainable_token_indices", "ensure_weight_tying"}),
    **dict.fromkeys(
        (Tool.TORCHTUNE, Tool.MLX_LM),
        frozenset(
            {
                "exclude_modules",
                "target_parameters",
                "trainable_token_indices",
                "ensure_weight_tying",
            }
        ),
    ),
}
"""Fields of PEFT for which a tool has no key (Axolotl 0.19.0, LLaMA-Factory 0.9.5, ms-swift 4.6.0,
TRL 1.16.0, torchtune 0.6.1, mlx-lm 0.32.2)."""

_LISTS_ONLY = frozenset({Tool.LLAMAFACTORY, Tool.TORCHTUNE, Tool.MLX_LM})
"""Tools whose targets are never a regular expression; sources as above."""


_OTHERS = "Name other modules instead; 'lorascope inspect' lists them with their roles."


def can_say(subject: Subject, peft_field: str) -> bool:
    """Whether the tool has a key for one of PEFT's fields."""
    return peft_field not in _CANNOT_SAY.get(subject.recipe.tool, frozenset())


def takes_pattern(subject: Subject) -> bool:
    """Whether the tool's targets may be one regular expression."""
    return subject.recipe.tool not in _LISTS_ONLY


def is_removable(reach: Reach, hit: Sequence[Module]) -> bool:
    """Whether an entry of a list reaches nothing but `hit`, and others reach something."""
    return reach.is_listed and not reach.is_needed and len(hit) == len(reach.modules)


def removal(reach: Reach, hit: Sequence[Module]) -> tuple[Edit, ...]:
    """Return the edits that take the entry out, if that is all there is to do."""
    if not is_removable(reach, hit):
        return ()
    return tuple(Edit(reach.where.value, entry, ()) for entry in (reach.entry, *reach.alike))


def how_to_leave_out(subject: Subject, reach: Reach, hit: Sequence[Module]) -> str:
    """Return a hint that keeps LoRA off `hit` and on all else that is reached."""
    if is_removable(reach, hit):
        return f"Remove it and {len(reach.alike)} more alike." if reach.alike else "Remove it."
    if reach.is_listed and len(hit) == len(reach.modules):
        return _OTHERS
    gone = {module.path for module in hit}
    others = [module for module in reached(subject) if module.path not in gone]
    excluding = endings(hit, others)
    if excluding and can_say(subject, "exclude_modules"):
        return f"Keep LoRA off with {subject.recipe.key('exclude_modules')}: {quoted(excluding)}."
    listing = endings(others, hit)
    if listing:
        return f"List the targets without: {quoted(listing)}."
    if not others:
        return _OTHERS
    return f"Name the targets by more than their last parts, so that {hit[0].path} is none of them."
