"""The words people use for roles (`q`, `gate`, …), and which roles of a real model they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Module
from lorascope.core.roles import ROUTERS, Role, Tower

WORDS: Mapping[str, frozenset[Role]] = {
    "q": frozenset(
        {
            Role.ATTENTION_Q,
            Role.ATTENTION_Q_A,
            Role.ATTENTION_Q_B,
            Role.ATTENTION_QK,
            Role.ATTENTION_QKV,
            Role.ATTENTION_QKVO,
            Role.LINEAR_ATTENTION_Q,
            Role.LINEAR_ATTENTION_QKV,
        }
    ),
    "k": frozenset(
        {
            Role.ATTENTION_K,
            Role.ATTENTION_KV_A,
            Role.ATTENTION_KV_B,
            Role.ATTENTION_KV,
            Role.ATTENTION_QK,
            Role.ATTENTION_QKV,
            Role.ATTENTION_QKVO,
            Role.LINEAR_ATTENTION_K,
            Role.LINEAR_ATTENTION_QKV,
        }
    ),
    "v": frozenset(
        {
            Role.ATTENTION_V,
            Role.ATTENTION_KV_A,
            Role.ATTENTION_KV_B,
            Role.ATTENTION_KV,
            Role.ATTENTION_QKV,
            Role.ATTENTION_QKVO,
            Role.LINEAR_ATTENTION_V,
            Role.LINEAR_ATTENTION_QKV,
        }
    ),
    "o": frozenset(
        {
            Role.ATTENTION_O,
            Role.ATTENTION_O_A,
            Role.ATTENTION_O_B,
            Role.ATTENTION_QKVO,
            Role.LINEAR_ATTENTION_O,
        }
    ),
    "gate": frozenset(
        {
            Role.FFN_GATE,
            Role.FFN_GATE_UP,
            Role.MOE_SHARED_GATE,
            Role.MOE_SHARED_GATE_UP,
            Role.MOE_EXPERTS_GATE,
            Role.MOE_EXPERTS_GATE_UP,
        }
    ),
    "up": frozenset(
        {
            Role.FFN_UP,
            Role.FFN_GATE_UP,
            Role.MOE_SHARED_UP,
            Role.MOE_SHARED_GATE_UP,
            Role.MOE_EXPERTS_UP,
            Role.MOE_EXPERTS_GATE_UP,
        }
    ),
    "down": frozenset({Role.FFN_DOWN, Role.MOE_SHARED_DOWN, Role.MOE_EXPERTS_DOWN}),
}
"""A fused projection counts for each part it holds; both steps of latent attention count for what
they make; linear attention counts as attention; shared and routed experts count as feed-forward.
"""

LINEAR = "linear"
"""The word for every linear of the blocks (see `is_block_linear`)."""

_OUTSIDE_BLOCKS = frozenset({"embedding", "head", "projector"})


@dataclass(frozen=True, slots=True)
class RoleRank:
    """One entry of a role list."""

    entry: str
    """The word, the role, or the first parts of one, without the rank."""
    rank: int | None
    """Its own rank; None for the plan's."""


def means(word: str, module: Module) -> bool:
    """Whether a word, a role, or the first parts of one (`moe.experts`) names this module's role.

    A router is meant only by its full role.
    """
    role = module.role
    if word == LINEAR:
        return is_block_linear(module)
    if word in WORDS:
        return role in WORDS[word]
    return role.value == word or (role.value.startswith(f"{word}.") and role not in ROUTERS)


def is_block_linear(module: Module) -> bool:
    """Whether a module is a linear of a block that trains with the loss: what `all-linear` means.

    A projector has no blocks: its own linears count, once that tower is asked for.

    Routers are left out; so is the indexer of sparse attention, which only chooses tokens, so
    that no gradient of the loss reaches it.
    """
    role = module.role
    if module.tower is Tower.PROJECTOR:
        return role is Role.PROJECTOR
    return (
        module.layer is not None
        and role not in ROUTERS
        and role is not Role.ATTENTION_INDEXER
        and role.group not in _OUTSIDE_BLOCKS
    )


def parse_role(entry: str) -> RoleRank:
    """Read `q`, `ffn.gate`, `experts.down` or `q=8`.

    Raises:
        PlanError: No such role, more than one of that ending, or a rank that is not a whole number
            above 0.
    """
    name, equals, rank = (part.strip() for part in entry.partition("="))
    if equals and not (rank.isascii() and rank.isdigit() and 0 < int(rank[:9]) == int(rank)):
        raise PlanError(f"--roles holds {entry!r}; expected a rank above 0 behind the =.")
    return RoleRank(_full_name(name), int(rank) if equals else None)


def role_named(name: str) -> str | None:
    """Return the word or role that a name stands for; None if there is none, or more than one."""
    found = _by_end().get(name, ())
    return found[0] if len(found) == 1 else None


def _full_name(name: str) -> str:
    found = role_named(name)
    if found is not None:
        return found
    several = _by_end().get(name)
    if several:
        raise PlanError(f"--roles holds {name!r}; expected one of {', '.join(several)}.")
    from difflib import get_close_matches

    near = get_close_matches(name, [*WORDS, *_known()], n=3)
    raise PlanError(
        f"--roles holds {name!r}; expected one of {', '.join(WORDS)}, or a role such as"
        " attention.q, ffn.gate_up, moe.experts or linear_attention.",
        f"Nearest: {', '.join(near)}." if near else None,
    )


@cache
def _known() -> tuple[str, ...]:
    """All roles and first parts of roles, sorted."""
    parts = (role.value.split(".") for role in Role if role is not Role.UNKNOWN)
    return tuple(
        sorted({".".join(each[:count]) for each in parts for count in range(1, len(each) + 1)})
    )


@cache
def _by_end() -> Mapping[str, tuple[str, ...]]:
    """What a name stands for: itself if it is a word or role, else each role that it ends."""
    found: dict[str, tuple[str, ...]] = {}
    for role in _known():
        parts = role.split(".")
        for count in range(1, len(parts)):
            end = ".".join(parts[count:])
            found[end] = (*found.get(end, ()), role)
    return found | {name: (name,) for name in (*WORDS, *_known())}


def listed(words: Sequence[str], last: str = "and") -> str:
    """Write a list as a sentence has it: `q, k and v`."""
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
