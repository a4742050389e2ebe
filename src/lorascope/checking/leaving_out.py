"""How to keep LoRA off some modules: by an entry's removal, or by what a tool can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lorascope.checking.naming import (
    endings,
    last_names,
    pattern_in,
    quoted,
    roots,
    takes_exactly,
)
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


_MOST_NAMES = 8
"""Names that a hint may list."""
_OTHERS = "Name other modules instead; 'lorascope inspect' lists them with their roles."


def can_say(subject: Subject, peft_field: str) -> bool:
    """Whether the tool has a key for one of PEFT's fields."""
    return peft_field not in _CANNOT_SAY.get(subject.recipe.tool, frozenset())


def takes_pattern(subject: Subject) -> bool:
    """Whether the tool's targets may be one regular expression."""
    return subject.recipe.tool not in _LISTS_ONLY


def pattern_key(subject: Subject) -> str:
    """Return the key or flag under which the tool takes a regular expression for the targets."""
    key = subject.recipe.key("target_modules")
    if subject.recipe.tool is Tool.MS_SWIFT:
        return "--target_regex" if key.startswith("--") else "target_regex"
    return key


def _listing(subject: Subject, wanted: Sequence[Module], hit: Sequence[Module]) -> tuple[str, ...]:
    """Return names for a list in the tool's own way; nothing if there are no few such names."""
    if subject.recipe.tool is not Tool.MLX_LM:
        return endings(wanted, hit)
    names = tuple(dict.fromkeys(map(_inside_of_block, wanted)))
    is_apart = not {_inside_of_block(module) for module in hit}.intersection(names)
    return names if is_apart and len(names) <= _MOST_NAMES else ()


def _inside_of_block(module: Module) -> str:
    """Return a module's path inside of its block, which is what mlx-lm's keys are."""
    before, number, inside = module.path.partition(f".{module.layer}.")
    return inside if number else before


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
    if not others or subject.recipe.tool is Tool.TORCHTUNE:
        return _OTHERS
    return how_to_take_only(subject, others, hit)


def how_to_take_only(subject: Subject, wanted: Sequence[Module], hit: Sequence[Module]) -> str:
    """Return a hint for targets that are `wanted` without `hit`, for a tool without exclusions."""
    listing = _listing(subject, wanted, hit)
    if listing:
        return f"List the targets without: {quoted(listing)}."
    pattern = pattern_in(roots(wanted, hit), last_names(wanted))
    if takes_pattern(subject) and takes_exactly(pattern, wanted, hit):
        return f"Leave them out: set {pattern_key(subject)} to the string '{pattern}'."
    return f"Name the targets by more than their last parts, so that {hit[0].path} is none of them."
