"""LT024: an entry of `modules_to_save` matches nothing."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit
from lorascope.core.roles import Kind
from lorascope.matching import Where
from lorascope.matching.names import Endings
from lorascope.matching.task_heads import late_heads

_INPUT = frozenset(
    {"embed_tokens", "embed_token", "embeddings", "word_embeddings", "wte", "tok_embeddings"}
)
_OUTPUT = frozenset({"lm_head", "embed_out", "output", "output_embeddings", "head"})


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries with which no module's name ends."""
    paths = [module.path for module in subject.model.modules if _is_module(module.kind)]
    ends = Endings(paths)
    # A saved adapter of these task types lists all names that PEFT tries for the head.
    tried = late_heads(subject.spec.task_type)
    for entry in subject.entries_of(Where.MODULES_TO_SAVE):
        if entry.matched or entry.entry in tried:
            continue
        if ends.has(entry.entry):
            continue
        instead = _instead(subject, entry.entry, ends)
        near = (instead,) if instead else entry.nearest
        yield Problem(
            entry=entry.entry,
            message=(
                f"No module of {subject.model.model.cls} has a name that ends so; PEFT saves and "
                "trains nothing for it, and says nothing."
            ),
            hint=f"Here it is called {listed(near)}." if near else "Correct it or remove it.",
            where=Where.MODULES_TO_SAVE,
            edits=(Edit(Where.MODULES_TO_SAVE, entry.entry, (instead,)),) if instead else (),
        )


def _is_module(kind: Kind) -> bool:
    return kind is not Kind.EXPERT_PARAMETER


def _instead(subject: Subject, entry: str, ends: Endings) -> str | None:
    """Return the name of the module that can only be meant; None if that is not known."""
    model = subject.model.model
    bare = entry.removesuffix(".weight").removesuffix(".bias")
    if bare != entry and (bare in subject.modules or ends.has(f".{bare}")):
        return bare
    last = bare.rpartition(".")[2]
    if last in _INPUT and model.input_embedding is not None:
        return model.input_embedding.rpartition(".")[2]
    if last in _OUTPUT and model.output_embedding is not None:
        return model.output_embedding.rpartition(".")[2]
    return None


RULE = Rule(
    code="LT024",
    name="saved-matches-nothing",
    severity=Severity.WARNING,
    summary="An entry of `modules_to_save` names no module of the base model.",
    why=(
        "PEFT goes through the modules and copies those whose name ends with an entry. One that "
        "ends no name is skipped without a word: the new embedding rows or the new head stay as "
        "they are, and the saved adapter does not hold them."
    ),
    instead="Take the name that this model has, as `lorascope inspect` lists it.",
    bad=Example("GPT-2", {"target_modules": ["c_attn"], "modules_to_save": ["embed_tokens"]}),
    good=Example("GPT-2", {"target_modules": ["c_attn"], "modules_to_save": ["wte"]}),
    reports=("huggingface/peft#3755",),
    needs=Needs.MATCH,
    find=find,
)
