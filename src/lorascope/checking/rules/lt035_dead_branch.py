"""LT035: a branch of a regular expression that matches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorascope.checking.alternations import Alternation, Branch, alternations, only
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed, shown
from lorascope.core.finding import Severity
from lorascope.core.paths import parent_path
from lorascope.matching import Where
from lorascope.matching.bounded_regex import BoundedRegex, Pattern
from lorascope.matching.names import ancestors

_MOST_BRANCHES = 200
_MOST_DEAD = 20


def find(subject: Subject) -> Iterator[Problem]:
    """Find branches without which the regular expression would match the same modules."""
    pattern = _written_pattern(subject)
    if pattern is None:
        return
    found = alternations(pattern)
    if not found or sum(len(each.branches) for each in found) > _MOST_BRANCHES:
        return
    regex = subject.regex
    names = [path for path in subject.modules if path]
    hits = list(regex.matching(Pattern(pattern, Where.TARGET_MODULES), names, whole=True))
    if not hits:
        return
    skipped: list[Branch] = []
    for each in found:
        if len(skipped) >= _MOST_DEAD:
            return
        if any(branch.start <= each.start and each.end <= branch.end for branch in skipped):
            continue
        if not all(branch.text for branch in each.branches):
            # An empty branch makes the others optional: `(language_model\.|)`.
            continue
        alone = [only(pattern, branch, each, found) for branch in each.branches]
        is_hit = _are_hit(alone, hits, regex)
        dead = [branch for branch, hit in zip(each.branches, is_hit, strict=True) if not hit]
        if dead:
            skipped += dead
            yield _problem(subject, pattern, each, dead, hits)


def _written_pattern(subject: Subject) -> str | None:
    """Return the user's own regular expression, as PEFT gets it; None if there is none."""
    pattern = subject.pattern
    if pattern is None or subject.asked.target_modules not in (pattern, (pattern,)):
        return None
    return pattern


def _are_hit(
    patterns: Sequence[str], names: Sequence[str], regex: BoundedRegex
) -> tuple[bool, ...]:
    """Whether each pattern matches one of the names; also if it cannot be told."""
    found = regex.any_matching([Pattern(text, Where.TARGET_MODULES) for text in patterns], names)
    return tuple(hit is not False for hit in found)


def _problem(
    subject: Subject,
    pattern: str,
    alternation: Alternation,
    dead: Sequence[Branch],
    hits: Sequence[str],
) -> Problem:
    texts = [branch.text for branch in dead]
    live = [branch.text for branch in alternation.branches if branch not in dead]
    near = [name for name in _beside(subject, live, hits) if name not in texts]
    one = len(texts) == 1
    return Problem(
        entry=pattern,
        message=(
            f"{'The branch' if one else 'The branches'} {shown(texts)} of the regular expression "
            f"{'matches' if one else 'match'} nothing in this model; the others match {len(hits)} "
            "modules."
        ),
        hint=f"Remove {'it' if one else 'them'}, or write what this model has"
        + (f": beside {listed(live)} there is {listed(near)}." if near else "."),
        where=Where.TARGET_MODULES,
    )


def _beside(subject: Subject, live: Sequence[str], hits: Sequence[str]) -> list[str]:
    """Return what stands beside the parts that live branches name, and holds something to adapt."""
    parents: set[str] = set()
    for path in hits:
        parts = path.split(".")
        parents.update(".".join(parts[:i]) for i, part in enumerate(parts) if part in live)
    found: dict[str, None] = {}
    for module in subject.model.adaptable:
        for above in (module.path, *ancestors(module.path)):
            if parent_path(above) in parents:
                found[above.rpartition(".")[2]] = None
    return [name for name in found if name not in live]


RULE = Rule(
    code="LT035",
    name="dead-branch",
    severity=Severity.WARNING,
    summary="A branch of a regular expression matches nothing while others do.",
    why=(
        "`(mlp|cross_attn|self_attn)` is copied from model to model; most have no `cross_attn`, "
        "and LFM2 has no `mlp`, `up_proj` or `o_proj` either. PEFT raises only if the whole "
        "matches nothing, so that what the branch was to adapt stays frozen without a word."
    ),
    instead="Remove the branch, or write the name that the model has.",
    bad=Example(
        "Gemma-3-4B",
        {
            "target_modules": (
                r"model.language_model.layers.[\d]+.(mlp|cross_attn|self_attn)"
                r".(up|down|gate|q|k|v|o)_proj"
            )
        },
    ),
    good=Example(
        "Gemma-3-4B",
        {
            "target_modules": (
                r"model\.language_model\.layers\.\d+\.(mlp|self_attn)"
                r"\.(up|down|gate|q|k|v|o)_proj"
            )
        },
    ),
    reports=(
        "https://github.com/axolotl-ai-cloud/axolotl/blob/main/examples/LiquidAI/lfm2-8b-a1b-lora.yaml",
    ),
    needs=Needs.MATCH,
    find=find,
)
