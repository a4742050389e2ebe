"""LT023: a whole embedding is trained and saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorascope.checking.leaving_out import can_say
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.numbers import exact, size
from lorascope.core.roles import Kind, Role
from lorascope.matching import SavedModule, Where

_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
_TOKENS = (Role.EMBEDDING_TOKEN, Role.HEAD_LM)


def find(subject: Subject) -> Iterator[Problem]:
    """Find copies of the token embedding, and of a head beside it, among what is saved whole."""
    if subject.match is None:
        return
    by_path = subject.model.by_path
    saved = [(each, by_path[each.path]) for each in subject.match.saved if each.path in by_path]
    tables = [(each, row) for each, row in saved if row.role in _TOKENS]
    embeddings = [each for each, row in tables if row.kind is Kind.EMBEDDING]
    if embeddings:
        yield _problem(subject, embeddings, tables)


def _problem(
    subject: Subject,
    embeddings: Sequence[SavedModule],
    tables: Sequence[tuple[SavedModule, Module]],
) -> Problem:
    width = _BYTES.get(subject.model.model.dtype or "", 4)
    params = sum(each.params for each, _ in tables)
    lora = sum(target.params for target in subject.targets)
    return Problem(
        entry=embeddings[0].entry,
        message=(
            f"{listed(module.path for _, module in tables)}: {exact(params)} parameters are "
            f"trained and written into every checkpoint, {size(width * params)} in "
            f"{subject.model.model.dtype or 'float32'}; all LoRA weights together are "
            f"{exact(lora)} parameters."
        ),
        hint=_hint(subject, tables, width),
        where=Where.MODULES_TO_SAVE,
        paths=tuple(module.path for _, module in tables),
        severity=Severity.WARNING if params > lora else Severity.INFO,
    )


def _hint(subject: Subject, tables: Sequence[tuple[SavedModule, Module]], width: int) -> str:
    field = "trainable_token_indices"
    each_row = size(width * sum(_row(module) for _, module in tables))
    rows = f"only their rows are trained, {each_row} a token"
    if not can_say(subject, field):
        tool = subject.recipe.tool.value
        return f"For a few new tokens PEFT has {field}: {rows}. {tool} has no key for it."
    return (
        f"For a few new tokens take them out of {subject.recipe.key('modules_to_save')} and give "
        f"the tokens' numbers in {subject.recipe.key(field)}, {_form(tables)}: {rows}."
    )


def _form(tables: Sequence[tuple[SavedModule, Module]]) -> str:
    names = [module.name for _, module in tables if module.tied_to is None]
    return "{" + ", ".join(f'"{name}": […]' for name in names) + "}"


def _row(module: Module) -> int:
    """Return the numbers that stand for one token."""
    width = module.out_features if module.kind is Kind.EMBEDDING else module.in_features
    return width or 0


RULE = Rule(
    code="LT023",
    name="whole-embedding-saved",
    severity=Severity.WARNING,
    summary="A whole embedding is trained and saved, though only some tokens may be new.",
    why=(
        "`modules_to_save` copies a module, trains all of it with optimizer states, and writes it "
        "into every checkpoint. A token embedding is often many times larger than the adapter, and "
        "vLLM refuses adapters with saved modules."
    ),
    instead="List the new tokens in `trainable_token_indices` (PEFT 0.15 and newer).",
    bad=Example(
        "Llama-3.1-8B",
        {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["embed_tokens", "lm_head"]},
    ),
    good=Example(
        "Llama-3.1-8B",
        {
            "target_modules": ["q_proj", "v_proj"],
            "trainable_token_indices": {"embed_tokens": [128002, 128003]},
        },
    ),
    reports=("huggingface/peft#2898",),
    needs=Needs.MATCH,
    find=find,
)
