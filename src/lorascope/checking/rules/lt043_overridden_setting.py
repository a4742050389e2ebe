"""LT043: two settings of a trainer say which modules, and one of them decides alone."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import as_written, listed
from lorascope.core.finding import Severity
from lorascope.core.recipe import Tool
from lorascope.matching import Where
from lorascope.matching.names import EntryList

_LINEAR = "lora_target_linear"


def find(subject: Subject) -> Iterator[Problem]:
    """Find a list beside Axolotl's switch for all linears, or beside ms-swift's pattern."""
    recipe = subject.recipe
    if recipe.tool is Tool.AXOLOTL and as_written(recipe.options.get(_LINEAR)) == "true":
        yield from _axolotl(subject)
    elif recipe.tool is Tool.MS_SWIFT:
        yield from _ms_swift(subject)


def _axolotl(subject: Subject) -> Iterator[Problem]:
    asked = subject.asked.target_modules
    key = subject.recipe.key(Where.TARGET_MODULES)
    if isinstance(asked, str) and asked:
        yield Problem(
            entry=asked,
            message=(
                f"With {_LINEAR} Axolotl makes the pattern one entry of a list, where PEFT reads "
                "it as a name: it decides nothing, and all linear layers are adapted."
            ),
            hint=f"Remove {_LINEAR} for the pattern to count, or the pattern for all linears.",
            where=Where.TARGET_MODULES,
        )
        return
    if not asked or subject.match is None:
        return
    known = EntryList(asked)
    added = [t for t in subject.targets if known.first_naming(t.path) is None]
    if not added:
        return
    listed_targets = len(subject.targets) - len(added)
    names = listed(dict.fromkeys(target.path.rpartition(".")[2] for target in added))
    yield Problem(
        entry=listed(asked),
        message=(
            f"{key} is no restriction beside {_LINEAR}: besides the {listed_targets} modules it "
            f"names, {len(added)} more linear layers are adapted ({names})."
        ),
        hint=f"Remove {_LINEAR} to adapt the listed modules only.",
        where=Where.TARGET_MODULES,
        paths=tuple(target.path for target in added[:3]),
    )


def _ms_swift(subject: Subject) -> Iterator[Problem]:
    """ms-swift puts `target_regex` in the place of `target_modules`."""
    ignored = subject.recipe.options.get("target_modules")
    if ignored is None or subject.pattern is None:
        return
    yield Problem(
        entry=subject.pattern,
        message=f"target_regex decides alone: target_modules ({as_written(ignored)}) is ignored.",
        hint="Keep the one that is meant.",
        where=Where.TARGET_MODULES,
    )


_BOTH = """\
base_model: meta-llama/Llama-3.1-8B
adapter: lora
lora_r: 16
lora_alpha: 32
lora_target_modules: [q_proj, v_proj]
lora_target_linear: {linear}
"""

RULE = Rule(
    code="LT043",
    name="overridden-setting",
    severity=Severity.WARNING,
    summary="A list of targets is overridden by another setting of the trainer.",
    why=(
        "Axolotl adds all linear layers to `lora_target_modules` when `lora_target_linear` is "
        "true, so that a short list restricts nothing and a pattern is not read as one. ms-swift "
        "takes `target_regex` instead of `target_modules`."
    ),
    instead="Keep one of the two settings.",
    bad=Example("Llama-3.1-8B", _BOTH.format(linear="true"), Tool.AXOLOTL),
    good=Example("Llama-3.1-8B", _BOTH.format(linear="false"), Tool.AXOLOTL),
    reports=("axolotl-ai-cloud/axolotl#65",),
    needs=Needs.CONFIG,
    find=find,
)
