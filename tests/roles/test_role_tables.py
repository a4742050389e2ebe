"""The schema of the role tables is closed, and a broken table says where it is broken."""

from __future__ import annotations

from collections import Counter

import pytest

from lorascope.core.roles import Kind, Role
from lorascope.roles.context import parse_context, shipped_context
from lorascope.roles.rule import LINEAR_LIKE
from lorascope.roles.tables import RoleTableError, parse_table, shipped_rules

ROW = 'pattern = "self_attn.q_proj"\nrole = "attention.q"\nsource = "llama"'


def table(*rows: str, level: str = 'level = "generic"') -> str:
    return "\n".join([level, *(f"[[row]]\n{row}" for row in rows)])


def test_a_row_becomes_a_rule() -> None:
    (rule,) = parse_table("attention", table(ROW))
    assert rule.name == "attention:self_attn.q_proj"
    assert (rule.role, rule.source, rule.family) == (Role.ATTENTION_Q, "llama", False)
    assert rule.kinds == LINEAR_LIKE


def test_constraints_may_be_one_word_or_a_list() -> None:
    row = f'{ROW}\nkind = "embedding"\nparent = ["*Attention", "Mixer"]\nhazards = "router"'
    (rule,) = parse_table("t", table(row, level='level = "family"'))
    assert rule.kinds == frozenset({Kind.EMBEDDING})
    assert rule.parents == ("*Attention", "Mixer")
    assert rule.hazards == ("router",)
    assert rule.family


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (table(f'{ROW}\nrolle = "x"'), "row 1 (self_attn.q_proj) has unknown key rolle"),
        (table(ROW, ROW.replace("attention.q", "attention.query")), "row 2 (self_attn.q_proj)"),
        (table(ROW.replace("attention.q", "attention.query")), "unknown role 'attention.query'"),
        (table(ROW.replace('source = "llama"', "")), "lacks source"),
        (table(ROW.replace('"llama"', '" "')), "source must be a text that is not empty"),
        (table(f'{ROW}\nkind = "linar"'), "unknown kind 'linar'"),
        (table(f'{ROW}\nhazards = "boom"'), "unknown hazard 'boom'"),
        (table(f"{ROW}\nparent = []"), "parent is an empty list"),
        (table(f"{ROW}\nparent = 3"), "parent must be a text or a list of texts, got 3"),
        (table(ROW.replace("self_attn.q_proj", "self_attn..q")), "empty part"),
        (table(ROW.replace("self_attn.q_proj", "self_attn.q_*")), "must be a plain name"),
        (
            table(ROW.replace("self_attn.q_proj", "layers.0.q")),
            "only the last part may be a number",
        ),
        (table(ROW, ROW), "two rows for self_attn.q_proj"),
        (table(ROW, level='level = "odd"'), "level must be one of generic, family, got 'odd'"),
        ('level = "generic"', "has no [[row]]"),
        (table(ROW, level='level = "generic"\nrows = 1'), "unknown key rows"),
        ("level = ", "is not valid TOML"),
    ],
)
def test_a_broken_table_fails_with_its_name_and_row(text: str, message: str) -> None:
    with pytest.raises(RoleTableError) as caught:
        parse_table("attention", text)
    assert "Role table attention" in caught.value.what
    assert message in caught.value.what


def test_every_shipped_row_names_its_source_and_none_is_double() -> None:
    rules = shipped_rules()
    assert all(rule.source.strip() for rule in rules)
    keys = Counter(
        (r.pattern, r.kinds, r.parents, r.classes, r.model_types, r.family) for r in rules
    )
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[towr]]\nparts = ["a"]', "unknown section towr"),
        ('[[tower]]\nparts = ["a"]\ntower = "vision"', "unknown or missing key source"),
        ('[[tower]]\nparts = ["a"]\ntower = "sight"\nsource = "s"', "unknown tower 'sight'"),
        ('[[cross_attention]]\nparts = ["a"]\nsource = ""', "empty source"),
    ],
)
def test_a_broken_context_fails_with_its_row(text: str, message: str) -> None:
    with pytest.raises(RoleTableError) as caught:
        parse_context(text)
    assert message in caught.value.what


def test_the_shipped_context_reads() -> None:
    assert "crossattention" in shipped_context().cross_attention_parts
