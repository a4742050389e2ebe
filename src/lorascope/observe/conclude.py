"""From what one forward pass showed to roles: pure, no tensor in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorascope.core.roles import Role
from lorascope.observe.provenance import Attended, Attention, Output, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

_MADE = {
    (True, False, False): Role.ATTENTION_Q,
    (False, True, False): Role.ATTENTION_K,
    (False, False, True): Role.ATTENTION_V,
    (True, True, False): Role.ATTENTION_QK,
    (False, True, True): Role.ATTENTION_KV,
    (True, True, True): Role.ATTENTION_QKV,
}
"""Whether a layer made query, key and value → its role."""

_SECOND_STEP = {
    Role.ATTENTION_Q: (Role.ATTENTION_Q_A, Role.ATTENTION_Q_B),
    Role.ATTENTION_K: (Role.ATTENTION_KV_A, Role.ATTENTION_KV_B),
    Role.ATTENTION_V: (Role.ATTENTION_KV_A, Role.ATTENTION_KV_B),
    Role.ATTENTION_KV: (Role.ATTENTION_KV_A, Role.ATTENTION_KV_B),
}
"""Role of a layer that reads another one's output → roles of the first and the second step."""


def roles_of(trace: Trace) -> dict[str, Role]:
    """Return path → role of every layer that takes part in an attention."""
    roles: dict[str, Role] = {}
    for attention in trace.attentions:
        for path, role in _roles_of_one(attention, trace):
            roles.setdefault(path, role)
    return roles


def _roles_of_one(attention: Attention, trace: Trace) -> Iterator[tuple[str, Role]]:
    reader = trace.readers.get(attention.number)
    block = _block(attention, reader)
    made = {
        path: (path in attention.query, path in attention.key, path in attention.value)
        for path in attention.query | attention.key | attention.value
        if _within(path, block)
    }
    for path, parts in made.items():
        role = _MADE.get(parts)
        first = _earlier_step(path, trace)
        if role is None:
            continue
        if first is not None and role in _SECOND_STEP:
            yield first, _SECOND_STEP[role][0]
            yield path, _SECOND_STEP[role][1]
        elif path not in {_earlier_step(other, trace) for other in made}:
            yield path, role
    if reader is not None:
        yield from _output_roles(reader, attention, trace, frozenset(made))


def _output_roles(
    reader: str, attention: Attention, trace: Trace, made: frozenset[str]
) -> Iterator[tuple[str, Role]]:
    second = next(
        (path for path in trace.reads if path != reader and _earlier_step(path, trace) == reader),
        None,
    )
    if second is None:
        yield reader, Role.ATTENTION_O
    else:
        yield reader, Role.ATTENTION_O_A
        yield second, Role.ATTENTION_O_B
    marks = trace.reads.get(reader, set())
    if Attended(attention.number) not in marks:
        return
    for mark in marks:
        if isinstance(mark, Output) and mark.path not in made and _siblings(mark.path, reader):
            yield mark.path, Role.ATTENTION_GATE


def _earlier_step(path: str, trace: Trace) -> str | None:
    """Return the layer beside `path` whose output `path` reads, or None."""
    steps = [
        mark.path
        for mark in trace.reads.get(path, ())
        if isinstance(mark, Output)
        and _siblings(mark.path, path)
        # A block that runs again reads what its own last layer made the time before.
        and trace.order[mark.path] < trace.order[path]
    ]
    if any(isinstance(mark, Attended) for mark in trace.reads.get(path, ())):
        return None
    return steps[0] if len(steps) == 1 else None


def _siblings(one: str, other: str) -> bool:
    return one != other and one.rpartition(".")[0] == other.rpartition(".")[0]


def _block(attention: Attention, reader: str | None) -> str:
    """Path below which the layers of this attention lie; empty if nothing tells."""
    inside = attention.module or reader
    if inside is None:
        return ""
    parts = inside.split(".")
    for index, part in enumerate(parts):
        if part.isdigit():
            return ".".join(parts[: index + 1])
    return ""


def _within(path: str, block: str) -> bool:
    return not block or path.startswith(f"{block}.")
