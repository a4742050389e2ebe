"""The command that rewrites a trained adapter for an engine, where that is all that it needs."""

from __future__ import annotations

import shlex
from pathlib import PurePath

from lorascope.checking.subject import Subject
from lorascope.matching.expert_rewrite import NEW_NAMES
from lorascope.serving.adapter_forms import AdapterForm, Experts, adapter_forms
from lorascope.serving.engines import Engine, Feature
from lorascope.serving.support import support_of
from lorascope.serving.troubles import Trouble, limits

_REWRITTEN = frozenset({Feature.PATTERNS, Feature.REGEX_TARGETS, Feature.UNEVEN_LAYERS})
"""What `lorascope adapt` takes care of at every engine."""


def adapt_hint(subject: Subject, engine: Engine) -> str | None:
    """Return a sentence with the command; None if nothing is trained yet, or it would not do."""
    if subject.stored is None or subject.inventory is None or subject.match is None:
        return None
    found = limits(engine, subject.spec, subject.match, subject.inventory, subject.stored)
    if not all(is_rewritten(each, subject) for each in found if each.severity.is_hard):
        return None
    folder = PurePath(subject.recipe.origin).parent
    written = f"{folder.name}-{engine.name}" if folder.name else f"adapter-{engine.name}"
    named = f"lorascope adapt {shlex.quote(str(folder))} --serve {engine.name}"
    return f"Rewrite what is trained: {named} -o {shlex.quote(written)}."


def is_rewritten(trouble: Trouble, subject: Subject) -> bool:
    """Whether `lorascope adapt` takes a trouble away and keeps what the adapter adds."""
    form = adapter_forms()[trouble.engine.name]
    if trouble.feature is Feature.EXPERT_PARAMETERS:
        return _writes_experts(trouble.engine, form, subject)
    if trouble.feature is Feature.UNKNOWN_NAME and trouble.does.startswith("needs "):
        joined = {name for group in form.together for name in group.any}
        return all(path.rpartition(".")[2] in joined for path in trouble.paths)
    return trouble.feature in _REWRITTEN


def _writes_experts(engine: Engine, form: AdapterForm, subject: Subject) -> bool:
    model = subject.model
    wanted = form.experts_of(support_of(engine, model).model_class)
    return wanted is Experts.STACKED or (
        wanted is Experts.SINGLE and model.model.expert_rewrite in NEW_NAMES
    )
