"""From the attentions that were seen to roles: pure, no tensor in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorascope.core.roles import Role
from lorascope.observe.attentions import Attended, Attention, Output, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def attention_roles(trace: Trace) -> dict[str, Role]:
    """Return path → role of every layer that takes part in an attention."""
    earlier = _earlier_steps(trace)
    roles: dict[str, Role] = {}
    for attention in trace.attentions:
        for path, role in _roles_of_one(attention, trace, earlier):
            roles.setdefault(path, role)
    return roles


def _roles_of_one(
    attention: Attention, trace: Trace, earlier: Mapping[str, str]
) -> Iterator[tuple[str, Role]]:
    reader = trace.readers.get(attention.number)
    block = _block(attention, reader)
    made = {
        path: (path in attention.query, path in attention.key, path in attention.value)
        for path in attention.query | attention.key | attention.value
        if _within(path, block)
    }
    first_steps = {earlier[path] for path in made if path in earlier}
    for path, parts in made.items():
        role = _MADE.get(parts)
        first = earlier.get(path)
        if role is None:
            continue
        if first is not None and role in _SECOND_STEP:
            yield first, _SECOND_STEP[role][0]
            yield path, _SECOND_STEP[role][1]
        elif path not in first_steps:
            yield path, role
    if reader is not None:
        yield from _output_roles(reader, attention, trace, earlier, frozenset(made))


def _output_roles(
    reader: str,
    attention: Attention,
    trace: Trace,
    earlier: Mapping[str, str],
    made: frozenset[str],
) -> Iterator[tuple[str, Role]]:
    second = next((path for path, first in earlier.items() if first == reader), None)
    if second is None:
        yield reader, Role.ATTENTION_O
    else:
        yield reader, Role.ATTENTION_O_A
        yield second, Role.ATTENTION_O_B
    marks = trace.reads.get(reader, set())
    if Attended(attention.number) not in marks:
        return
    for path in trace.siblings(reader):
        if path not in made and Output(path) in marks:
            yield path, Role.ATTENTION_GATE


def _earlier_steps(trace: Trace) -> dict[str, str]:
    """Return path → the layer beside it whose output it reads, where that is one."""
    steps: dict[str, str] = {}
    for path, marks in trace.reads.items():
        if any(isinstance(mark, Attended) for mark in marks):
            continue
        # A block that runs again reads what its own last layer made the time before.
        before = [
            other
            for other in trace.siblings(path)
            if Output(other) in marks and trace.order[other] < trace.order[path]
        ]
        if len(before) == 1:
            steps[path] = before[0]
    return steps


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
