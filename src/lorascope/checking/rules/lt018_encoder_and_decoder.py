"""LT018: encoder and decoder are both hit where one of them may be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lorascope.checking.naming import last_names, pattern_in, roots, takes_exactly
from lorascope.checking.reaching import Reach, reaches
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import shown
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.numbers import counted
from lorascope.core.roles import Kind, Role, Tower

_PART = re.compile(r"encoder|decoder", re.IGNORECASE)
_LOOKAROUND = re.compile(r"\(\?<?[!=]")
_OTHER = {Tower.ENCODER: Tower.DECODER, Tower.DECODER: Tower.ENCODER}


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that say one part and hit the other too, or that no part is told by.

    Names as `q` on T5, whose encoder reads text as its decoder does, mean both, as PEFT's own
    default does. Where the encoder hears or sees, that is worth knowing.
    """
    main = subject.model.model.main_towers
    if not subject.targets or not {Tower.ENCODER, Tower.DECODER} <= set(main):
        return
    found = [reach for reach in reaches(subject) if _hits_both(reach)]
    plain: list[Reach] = []
    for reach in found:
        part = _named_part(reach.entry)
        if part is not None:
            yield _trespassing(subject, reach, part)
        elif not _PART.search(reach.entry):
            plain.append(reach)
    if plain and _is_other_modality(subject):
        yield _both(subject, plain)


def _hits_both(reach: Reach) -> bool:
    return {Tower.ENCODER, Tower.DECODER} <= {module.tower for module in reach.modules}


def _named_part(entry: str) -> Tower | None:
    """Return the one part that an entry names; None if it names none, both, or what is not one."""
    named = {word.lower() for word in _PART.findall(entry)}
    if len(named) != 1 or _LOOKAROUND.search(entry):
        return None
    return Tower(named.pop())


def _is_other_modality(subject: Subject) -> bool:
    """Whether the encoder turns something else than tokens into what a text decoder reads."""
    if subject.model.model.output_embedding is None:
        return False
    rows = [m for m in subject.model.adaptable if m.tower is Tower.ENCODER]
    reads_tokens = any(m.role is Role.EMBEDDING_TOKEN for m in rows)
    return not reads_tokens and any(m.kind is Kind.CONVOLUTION for m in rows)


def _trespassing(subject: Subject, reach: Reach, part: Tower) -> Problem:
    other = [m for m in reach.modules if m.tower is _OTHER[part]]
    wanted = [m for m in reach.modules if m.tower is part]
    return Problem(
        entry=reach.entry,
        message=(
            f"It names the {part.value} and hits {counted(len(other), 'module')} of the "
            f"{_OTHER[part].value} too, whose names have the same word in them."
        ),
        hint=f"For the {part.value} alone write {_scoped(subject, wanted, part)}.",
        where=reach.where,
        paths=tuple(module.path for module in other),
    )


def _both(subject: Subject, plain: Sequence[Reach]) -> Problem:
    modules = [module for reach in plain for module in reach.modules]
    encoder = [m for m in modules if m.tower is Tower.ENCODER]
    decoder = [m for m in modules if m.tower is Tower.DECODER]
    wanted = [row for _, row in subject.adapted if row.tower is Tower.DECODER]
    key = subject.recipe.key("target_modules")
    return Problem(
        entry=plain[0].entry,
        message=(
            f"{shown(reach.entry for reach in plain)}: {counted(len(encoder), 'module')} of the "
            f"encoder and {len(decoder):,} of the decoder have these names, and both are adapted."
        ),
        hint=(
            f"That is usual where the encoder is to learn too. For the decoder alone write {key} "
            f"as one string: {_scoped(subject, wanted, Tower.DECODER)}."
        ),
        where=plain[0].where,
        paths=tuple(module.path for module in encoder),
        severity=Severity.INFO,
    )


def _scoped(subject: Subject, wanted: Sequence[Module], part: Tower) -> str:
    others = [m for m in subject.model.adaptable if m.tower is not part]
    pattern = pattern_in(roots(wanted, others), last_names(wanted))
    if takes_exactly(pattern, wanted, others):
        return f"'{pattern}'"
    return "a regular expression that begins with its full name"


RULE = Rule(
    code="LT018",
    name="encoder-and-decoder",
    severity=Severity.WARNING,
    summary="The targets hit encoder and decoder where they name one of them, or no part at all.",
    why=(
        "A decoder's cross-attention is called `encoder_attn` in BART and Whisper, so that "
        "`.*encoder.*q_proj` adapts a part of the decoder as well. And a bare `q_proj` hits both "
        "halves of Whisper, of which only one reads text."
    ),
    instead="Write one regular expression that begins with the part: `model\\.encoder\\..*`.",
    bad=Example("bart", {"target_modules": r".*encoder.*\.(q_proj|v_proj)"}),
    good=Example("bart", {"target_modules": r"model\.encoder\..*\.(q_proj|v_proj)"}),
    reports=("huggingface/peft#2964",),
    needs=Needs.MATCH,
    find=find,
)
