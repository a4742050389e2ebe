"""LT017: the targets reach a vision or audio tower."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lorascope.checking.leaving_out import can_say, pattern_key, takes_pattern
from lorascope.checking.naming import (
    below,
    endings,
    last_names,
    pattern_in,
    quoted,
    roots,
    takes_exactly,
)
from lorascope.checking.reaching import Reach, reaches
from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed, shown
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.numbers import counted, exact
from lorascope.core.recipe import Tool
from lorascope.core.roles import Role, Tower

_SENSES = (Tower.VISION, Tower.AUDIO)
_WORDS = re.compile(r"visi|visual|vit|image|audio|speech|sound", re.IGNORECASE)
"""Words of an entry that mean such a tower."""
_ASKED_BY_OPTION = (
    ("freeze_vision_tower", False),
    ("freeze_vit", False),
    ("encoder_trainable", "lora"),
    ("finetune_vision_layers", True),
    ("finetune_audio_layers", True),
)
"""Options of LLaMA-Factory, ms-swift, torchtune and Unsloth by which the tower is meant."""
_TORCHTUNES_WAY = "For the language model alone set model.encoder_trainable to frozen."
_GENERATES = ("ForConditionalGeneration", "ForCausalLM")


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that reach the language model and, by the same name, what sees or hears.

    An entry that names nothing but such a tower is meant so. In models without a language model,
    such as CLIP, the towers are equals.
    """
    if not _is_language_model(subject) or _is_asked_by_option(subject):
        return
    found = [reach for reach in reaches(subject) if subject.targets and _is_loose(reach, subject)]
    if found:
        yield _problem(subject, found)


def _is_language_model(subject: Subject) -> bool:
    model = subject.model.model
    return model.output_embedding is not None or model.cls.endswith(_GENERATES)


def _is_asked_by_option(subject: Subject) -> bool:
    options = subject.recipe.options
    return any(name in options and options[name] == value for name, value in _ASKED_BY_OPTION)


def _is_loose(reach: Reach, subject: Subject) -> bool:
    main = subject.model.model.main_towers
    towers = {module.tower for module in reach.modules}
    return (
        any(tower in _SENSES and tower not in main for tower in towers)
        and any(tower in main for tower in towers)
        and not _WORDS.search(reach.entry)
    )


def _problem(subject: Subject, found: Sequence[Reach]) -> Problem:
    main = subject.model.model.main_towers
    modules = [module for reach in found for module in reach.modules]
    sensing = [m for m in modules if m.tower in _SENSES and m.tower not in main]
    gone = {module.path for module in sensing}
    params = sum(t.params for t in subject.targets if t.path in gone)
    towers = " and ".join(dict.fromkeys(module.tower.value for module in sensing))
    reach = "reaches" if len(found) == 1 else "reach"
    return Problem(
        entry=found[0].entry,
        message=(
            f"{shown(each.entry for each in found)} {reach} {counted(len(sensing), 'module')} of "
            f"the {towers} tower as well, with {exact(params)} of {exact(_all(subject))} LoRA "
            "parameters."
        ),
        hint=_hint(subject, sensing, list(_adapted_text(subject))),
        where=found[0].where,
        paths=tuple(module.path for module in sensing),
    )


def _adapted_text(subject: Subject) -> Iterator[Module]:
    """Yield what of the language model is adapted, and well may be."""
    parameters = frozenset(target.path for target in subject.targets if target.is_parameter)
    for target, row in subject.adapted:
        is_text = row.tower in subject.model.model.main_towers
        if is_text and row.role is not Role.MOE_ROUTER and target.path not in parameters:
            yield row


def _all(subject: Subject) -> int:
    return sum(target.params for target in subject.targets)


def _hint(subject: Subject, sensing: Sequence[Module], text: Sequence[Module]) -> str:
    main = subject.model.model.main_towers
    inner = [m for m in subject.model.adaptable if m.tower in main]
    outer = [m for m in subject.model.adaptable if m.tower not in main]
    if subject.recipe.tool is Tool.TORCHTUNE:
        return _TORCHTUNES_WAY
    ways = []
    if subject.spec.exclude_modules is None and can_say(subject, "exclude_modules"):
        ways.append(f"{subject.recipe.key('exclude_modules')} to {_excluded(sensing, inner)}")
    wanted = pattern_in(roots(text, outer), last_names(text))
    is_exact = takes_pattern(subject) and takes_exactly(wanted, text, sensing)
    if is_exact and subject.model.model.expert_rewrite is None:
        # Where PEFT rewrites expert names it cuts a pattern down to last names.
        ways.append(f"{pattern_key(subject)} to the string '{wanted}'")
    if not ways:
        return _by_names(text, sensing)
    return f"For the language model alone set {', or '.join(ways)}."


def _by_names(text: Sequence[Module], sensing: Sequence[Module]) -> str:
    names = endings(text, sensing)
    if names:
        return f"For the language model alone list {quoted(names)}."
    return f"Keep LoRA off what is in {listed(roots(sensing, text))}."


def _excluded(sensing: Sequence[Module], inner: Sequence[Module]) -> str:
    pattern = below(roots(sensing, inner))
    if takes_exactly(pattern, sensing, inner):
        return f"the string '{pattern}'"
    return quoted(endings(sensing, inner) or [module.path for module in sensing[:MOST_PATHS]])


RULE = Rule(
    code="LT017",
    name="perception-tower",
    severity=Severity.WARNING,
    summary="The targets reach a vision or audio tower by names that the language model has too.",
    why=(
        "Image and sound encoders often call their layers as language models do. `q_proj` and "
        "`all-linear` then adapt both, which costs memory, changes what the model sees, and makes "
        "an adapter that engines refuse or load in part. PEFT says nothing."
    ),
    instead=(
        "Keep the tower out with `exclude_modules` as one regular expression, or write the targets "
        "as one that begins with the language model."
    ),
    bad=Example("Gemma-3-4B", {"target_modules": ["q_proj", "v_proj"]}),
    good=Example(
        "Gemma-3-4B",
        {
            "target_modules": ["q_proj", "v_proj"],
            "exclude_modules": r".*vision_tower\..*",
        },
    ),
    reports=(
        "huggingface/peft#2615",
        "haotian-liu/LLaVA#1647",
        "unslothai/unsloth#5677",
        "verl-project/verl#2182",
    ),
    needs=Needs.MATCH,
    find=find,
)
