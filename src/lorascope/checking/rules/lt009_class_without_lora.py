"""LT009: the class of a target cannot take LoRA."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from lorascope.checking.leaving_out import can_say, how_to_take_only
from lorascope.checking.named import by_entry, holders, is_container, named_targets
from lorascope.checking.naming import below, last_names, roots
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed, shown
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.paths import parent_path
from lorascope.matching import Where

_MOST_ENTRIES = 50
"""Entries that are looked at; the first wrong one already stops PEFT."""
_MOST_ROOTS = 4
"""Containers that a pattern for exclusion may name."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that name layers of a class that PEFT's LoRA does not take."""
    named = named_targets(subject)
    holding = holders(subject)
    right = [subject.modules[path] for path in named if subject.modules[path].kind.adaptable]
    for entry, paths in islice(by_entry(named).items(), _MOST_ENTRIES):
        hit = [subject.modules[path] for path in paths]
        wrong = [module for module in hit if _is_unsupported(module, holding)]
        if not wrong:
            continue
        classes = dict.fromkeys(module.cls for module in wrong)
        yield Problem(
            entry=entry,
            message=(
                f"{_how_many(len(wrong), len(paths))} of class {listed(classes)}, which PEFT's "
                "LoRA does not take: it refuses the whole configuration."
            ),
            hint=_hint(subject, wrong, right if len(wrong) < len(hit) else []),
            where=Where.TARGET_MODULES,
            paths=tuple(module.path for module in wrong),
        )


def _how_many(wrong: int, named: int) -> str:
    if wrong == named:
        return "The module that it names is" if named == 1 else f"All {named} modules named are"
    return f"{wrong} of the {named} modules named {'is' if wrong == 1 else 'are'}"


def _is_unsupported(module: Module, holding: frozenset[str]) -> bool:
    return not module.kind.adaptable and not is_container(module, holding)


def _hint(subject: Subject, wrong: Sequence[Module], right: Sequence[Module]) -> str:
    inner = _linears_within(subject, wrong)
    if inner and not right:
        return f"Name the linear layer in each: {shown(inner)}."
    said = [_how_to_leave_out(subject, wrong, right)]
    if inner:
        said.append(f"To adapt them too, name the linear layer in each: {shown(inner)}.")
    elif not right and (beside := _beside(subject, wrong)):
        said.append(f"Beside it LoRA can adapt {listed(beside)}.")
    if any("norm" in module.cls.lower() for module in wrong):
        said.append("To train the norms themselves, put them into modules_to_save.")
    return " ".join(said)


def _how_to_leave_out(subject: Subject, wrong: Sequence[Module], right: Sequence[Module]) -> str:
    """Say what keeps LoRA off the wrong ones and on the right ones."""
    if not right:
        return "Remove the entry."
    if not can_say(subject, "exclude_modules"):
        return how_to_take_only(subject, right, wrong)
    names = last_names(wrong)
    if not {module.name for module in right}.intersection(names):
        return f"Leave them out: exclude_modules with {shown(names)}."
    apart = roots(wrong, right)
    if len(apart) <= _MOST_ROOTS:
        return f"Leave them out: exclude_modules as the pattern {below(apart)}"
    return "Write a pattern that leaves them out."


def _linears_within(subject: Subject, wrong: Iterable[Module]) -> tuple[str, ...]:
    """Return `q_proj.linear` for a wrapper that holds a linear layer."""
    wrappers = {module.path for module in wrong}
    inner = [m for m in subject.model.adaptable if parent_path(m.path) in wrappers]
    return tuple(dict.fromkeys(".".join(m.path.rsplit(".", 2)[-2:]) for m in inner))


def _beside(subject: Subject, wrong: Iterable[Module]) -> tuple[str, ...]:
    around = {parent_path(module.path) for module in wrong}
    return last_names(m for m in subject.model.adaptable if parent_path(m.path) in around)


RULE = Rule(
    code="LT009",
    name="class-without-lora",
    severity=Severity.ERROR,
    summary="A target names layers of a class that LoRA cannot adapt.",
    why=(
        "PEFT's LoRA takes Linear, Embedding, Conv1d to Conv3d, transformers' Conv1D and "
        "MultiheadAttention. For a dropout, an activation, a norm or a wrapper such as Gemma 4's "
        "Gemma4ClippableLinear it raises `Target module … is not supported`, also if the same "
        "entry names layers that it could adapt."
    ),
    instead="Leave those modules out with `exclude_modules`, or name what is inside the wrapper.",
    bad=Example("gemma4_vision", {"target_modules": ["q_proj", "v_proj"]}),
    good=Example("gemma4_vision", {"target_modules": ["q_proj.linear", "v_proj.linear"]}),
    reports=("huggingface/peft#2286", "unslothai/unsloth#4807"),
    needs=Needs.MATCH,
    find=find,
)
