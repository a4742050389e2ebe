"""An inventory's modules folded into the rows that `inspect` prints, with sums that add up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lorascope.core.inventory import Inventory, Module
from lorascope.core.paths import joined
from lorascope.core.roles import Evidence, Kind, Role, Tower
from lorascope.report.fold import fold
from lorascope.report.role_order import role_place

GROUPS: Mapping[str, str] = {
    "attention": "attention",
    "ffn": "feed-forward",
    "moe": "mixture of experts",
    "ssm": "state space",
    "linear_attention": "linear attention",
    "conv": "convolution",
    "embedding": "embedding",
    "head": "head",
    "projector": "projector",
    "norm": "norm",
    "unknown": "role unknown",
    "container": "containers and norms",
}
"""Groups of roles in the order in which they are shown, and their titles; the last is of modules
that have no role because no adapter fits them."""


@dataclass(frozen=True, slots=True)
class FoldedRow:
    """Modules that are the same but for the indices in their names."""

    pattern: str
    """Full names with index sets, for example `model.layers.{0-31}.mlp.up_proj`."""
    count: int
    """Number of modules."""
    first: Module
    """The first of them; all have its role, class and shape."""
    params: int
    """Parameters of all of them, in place and not counted elsewhere (0 where tied)."""
    lora_params_per_rank: int
    """LoRA parameters of all of them at r = 1."""
    tied_to: str | None
    """Pattern of the modules whose weights or selves these are; None if their own."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """The rows of one group of roles in one tower."""

    group: str
    rows: tuple[FoldedRow, ...]

    @property
    def params(self) -> int:
        """Sum over the rows."""
        return sum(row.params for row in self.rows)

    @property
    def lora_params_per_rank(self) -> int:
        """Sum over the rows."""
        return sum(row.lora_params_per_rank for row in self.rows)


@dataclass(frozen=True, slots=True)
class RowSection:
    """The rows of one tower."""

    tower: Tower
    groups: tuple[RowGroup, ...]

    @property
    def params(self) -> int:
        """Sum over the groups."""
        return sum(group.params for group in self.groups)

    @property
    def lora_params_per_rank(self) -> int:
        """Sum over the groups."""
        return sum(group.lora_params_per_rank for group in self.groups)


def sections(inventory: Inventory, modules: Iterable[Module]) -> tuple[RowSection, ...]:
    """Fold modules into rows, by tower and group; the main towers first.

    Args:
        inventory: The whole model, which tells what is tied.
        modules: Those to show, in model order.
    """
    own = own_params(inventory)
    alike: dict[tuple[object, ...], list[Module]] = {}
    for module in modules:
        alike.setdefault(_likeness(module, own[module.path]), []).append(module)
    rows = [row for same in alike.values() for row in _rows(same, own)]
    return tuple(
        RowSection(tower, _groups([row for row in rows if row.first.tower is tower]))
        for tower in _tower_order(inventory, rows)
    )


def own_params(inventory: Inventory) -> dict[str, int]:
    """Count for each entry the parameters that it holds and that no earlier entry holds.

    An expert parameter is counted at its own entry, not at the module that holds it. The sum over
    all entries is the model's number of parameters.
    """
    expert_names = {m.path for m in inventory.modules if m.kind is Kind.EXPERT_PARAMETER}
    tied: set[str] = set()
    own: dict[str, int] = {}
    for module in inventory.modules:
        if module.kind is Kind.EXPERT_PARAMETER:
            own[module.path] = 0 if module.path in tied else module.total_params
            continue
        tied.update(joined(module.path, p.name) for p in module.parameters if p.tied_to is not None)
        own[module.path] = sum(
            p.count
            for p in module.parameters
            if p.tied_to is None and joined(module.path, p.name) not in expert_names
        )
    return own


def _likeness(module: Module, params: int) -> tuple[object, ...]:
    return (
        module.tower,
        module.kind,
        module.role,
        module.evidence,
        module.cross_attention,
        module.cls,
        module.in_features,
        module.out_features,
        module.experts,
        module.kernel,
        module.groups,
        module.hazards,
        module.alias_of is None,
        params,
    )


def _rows(same: list[Module], own: Mapping[str, int]) -> list[FoldedRow]:
    first = same[0]
    ties = fold(module.tied_to for module in same if module.tied_to)
    adaptable = first.kind.adaptable and first.alias_of is None
    return [
        FoldedRow(
            pattern=pattern.text,
            count=pattern.count,
            first=first,
            params=own[first.path] * pattern.count,
            lora_params_per_rank=first.lora_params_per_rank * pattern.count if adaptable else 0,
            tied_to=", ".join(tie.text for tie in ties) or None,
        )
        for pattern in fold(module.path for module in same)
    ]


def _groups(rows: list[FoldedRow]) -> tuple[RowGroup, ...]:
    by_group: dict[str, list[FoldedRow]] = {group: [] for group in GROUPS}
    for row in rows:
        by_group[_group(row.first)].append(row)
    return tuple(
        RowGroup(group, tuple(sorted(found, key=_place)))
        for group, found in by_group.items()
        if found
    )


def _group(module: Module) -> str:
    return "container" if is_plain(module) else module.role.group


def is_plain(module: Module) -> bool:
    """Whether it is a block, a norm or the like, of which nobody asks the role."""
    return module.kind is Kind.CONTAINER and module.role is Role.UNKNOWN


def _place(row: FoldedRow) -> tuple[bool, int]:
    return row.first.cross_attention, role_place(row.first.role)


def _tower_order(inventory: Inventory, rows: Iterable[FoldedRow]) -> list[Tower]:
    present = {row.first.tower for row in rows}
    order = (*inventory.model.main_towers, *Tower)
    return [tower for tower in dict.fromkeys(order) if tower in present]


def evidence_counts(modules: Iterable[Module]) -> dict[Evidence, int]:
    """Count adaptable modules by how their role is known."""
    counts = dict.fromkeys(Evidence, 0)
    for module in modules:
        if module.kind.adaptable and module.alias_of is None:
            counts[module.evidence] += 1
    return counts


def short_role(role: Role) -> str:
    """Write a role without the group that its rows stand under."""
    return role.value.partition(".")[2] or role.value
