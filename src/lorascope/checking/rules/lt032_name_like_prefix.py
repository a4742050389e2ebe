"""LT032: an adapter or a module is named like PEFT's own prefix."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.core.finding import Severity
from lorascope.matching.versions import behaviour_of

_PREFIX = "lora_"
_CUT = re.compile(r"_[AB]\.weight$")


def find(subject: Subject) -> Iterator[Problem]:
    """Find tensors that lost a part of their name, and base modules with `lora_` in theirs."""
    yield from _cut(subject)
    if subject.inventory is not None:
        yield from _modules(subject)


def _cut(subject: Subject) -> Iterator[Problem]:
    names = [tensor.name for tensor in subject.stored or ()]
    cut = [name for name in names if _PREFIX not in name and _CUT.search(name)]
    if not cut:
        return
    right = _CUT.sub(lambda hit: f".lora{hit[0]}", cut[0])
    yield Problem(
        entry=cut[0],
        message=(
            f"{len(cut)} of {len(names)} tensors lost `.lora` from their names, as older releases "
            "of PEFT save an adapter that is itself named `lora`; nothing of them is loaded."
        ),
        hint=f"Rename them, this one to {right}, and do not name an adapter `lora`.",
        paths=tuple(cut[:MOST_PATHS]),
        severity=Severity.ERROR,
    )


def _modules(subject: Subject) -> Iterator[Problem]:
    if not behaviour_of(subject.peft_version).lora_in_name_stays_trainable:
        return
    named = [path for path in subject.modules if _PREFIX in path]
    if named:
        yield Problem(
            entry=named[0],
            message=(
                f"{len(named)} modules of the base model have `lora_` in their names: PEFT "
                f"{subject.peft_version} takes their weights for the adapter's and trains them."
            ),
            hint="Take PEFT 0.21 or later, which freezes them.",
            paths=tuple(named[:MOST_PATHS]),
        )


_ONE_LAYER = {"target_modules": ["c_attn"], "layers_to_transform": [0]}
_TENSOR = "base_model.model.transformer.h.0.attn.c_attn"

RULE = Rule(
    code="LT032",
    name="name-like-prefix",
    severity=Severity.INFO,
    summary="An adapter or a module is named like PEFT's own prefix `lora_`.",
    why=(
        "PEFT tells its own weights by `lora_` in their names and takes the adapter's name out of "
        "them when it saves. With an adapter that is named `lora`, older releases wrote "
        "`c_attn_A.weight` for `c_attn.lora_A.weight`, which nothing loads again."
    ),
    instead="Leave the adapter's name at `default`, or take one that is no part of `lora_`.",
    bad=Example(
        "GPT-2",
        _ONE_LAYER,
        tensors={f"{_TENSOR}_A.weight": (8, 768), f"{_TENSOR}_B.weight": (2304, 8)},
    ),
    good=Example(
        "GPT-2",
        _ONE_LAYER,
        tensors={f"{_TENSOR}.lora_A.weight": (8, 768), f"{_TENSOR}.lora_B.weight": (2304, 8)},
    ),
    reports=("huggingface/peft#2699", "huggingface/peft#2252"),
    needs=Needs.CONFIG,
    find=find,
)
