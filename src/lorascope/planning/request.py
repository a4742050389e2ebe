"""What a user asks of a plan, checked before anything is worked out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from lorascope.core.errors import PlanError, SpecificationError
from lorascope.core.layers import MOST_LAYERS, parse_layers
from lorascope.core.roles import Tower
from lorascope.matching.versions import NEWEST, behaviour_of
from lorascope.planning.evidence import TASKS
from lorascope.planning.presets import DEFAULT_PRESET, PRESETS
from lorascope.planning.words import RoleRank, parse_role

INITS = ("gaussian", "olora", "pissa", "orthogonal", "eva")
"""Named initializations that need nothing but the model and, for `eva`, a call of the trainer's."""

BIASES = ("none", "all", "lora_only")
_PISSA_STEPS = re.compile(r"pissa_niter_\d+")
_HIGHEST_RANK = 1_000_000
_MOST_PARAMS = 10**15


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A preset and what shall differ from it. None means: as the preset or the task says.

    Raises:
        PlanError: A value is not one that its option takes; the message names the option.
    """

    preset: str | None = None
    """One of `PRESETS`; None: the task's preset, and without a task `qv`."""
    task: str | None = None
    """One of `TASKS`."""
    rank: int | None = None
    """Rank of the preset's main targets; its other targets keep their proportion to it."""
    alpha: float | None = None
    """Alpha of the main targets; alpha/r is the same for all. None: 2·rank."""
    dropout: float | None = None
    """`lora_dropout`. None: 0.05, or 0 where a parameter is adapted directly."""
    bias: str = "none"
    rslora: bool = False
    dora: bool = False
    init: bool | str = True
    """`init_lora_weights`."""
    roles: Sequence[str] | Mapping[str, int | None] | str = ()
    """Roles instead of a preset: `q`, `ffn.gate`, `moe.experts`, each with an own rank as `q=8`.

    A list, one text with commas, or a mapping from role to rank (None: the plan's rank)."""
    layers: str | Sequence[int] | None = None
    """Layer indices, or text such as `0-15,20`; None: all."""
    exclude: Sequence[str] = ()
    """Modules left out: full names, suffixes of names, or containers of either."""
    towers: Sequence[Tower | str] = ()
    """Towers to adapt; none named: the inventory's main towers."""
    experts: bool | None = None
    """Whether routed experts are adapted."""
    only: Collection[str] | None = None
    """Full names: of the modules that all else means, these alone are adapted; None: all."""
    max_params: int | None = None
    """Most trainable parameters; the rank becomes the largest that keeps to it."""
    peft_version: str = NEWEST
    """The PEFT release that shall carry the plan out."""
    serve: Sequence[str] | str = ()
    """Serving engines that shall all serve the plan as it is trained, by their names in
    `lorascope.serving.engines`: a list, or one text with commas."""
    uniform: bool = False
    """Whether all targets get the rank and alpha of the main ones."""
    listed: bool = False
    """Whether the targets are never written as a regular expression."""

    def __post_init__(self) -> None:
        _one_of("--preset", self.preset, tuple(PRESETS))
        _one_of("--task", self.task, tuple(TASKS))
        _one_of("--bias", self.bias, BIASES)
        _whole("--rank", self.rank, 1, _HIGHEST_RANK)
        _whole("--max-params", self.max_params, 1, _MOST_PARAMS)
        _number("--alpha", self.alpha, above=0.0)
        if self.dropout is not None and not (_is_number(self.dropout) and 0 <= self.dropout < 1):
            raise PlanError(f"--dropout is {self.dropout!r}; expected a number from 0 to below 1.")
        if not isinstance(self.init, bool) and not _is_init(self.init):
            raise PlanError(
                f"--init is {self.init!r}; expected true, false, {', '.join(INITS)} or"
                " pissa_niter_N.",
                "loftq, corda and lora_ga need settings and data of their own: set them in your"
                " training script on the LoraConfig of this plan.",
            )
        _names("--roles", self._role_entries)
        _names("--exclude", self.exclude)
        if self.only is not None and (isinstance(self.only, str) or not self.only):
            raise PlanError(f"only is {self.only!r}; expected full names of modules.")
        _check_version(self.peft_version)
        _check_engines(self.engines)
        self._check_combinations()
        _ = self.parsed_roles, self.parsed_layers, self.parsed_towers

    def _check_combinations(self) -> None:
        if self.roles and self.preset is not None:
            raise PlanError(
                f"--roles and --preset {self.preset} are both given; expected one of them.",
                "Roles replace a preset.",
            )
        if self.max_params is not None and self.rank is not None:
            raise PlanError(
                "--max-params and --rank are both given; expected one of them.",
                "--max-params chooses the rank.",
            )
        if self.init == "orthogonal" and self.rank is not None and self.rank % 2:
            raise PlanError(
                f"--rank is {self.rank}; expected an even one, which --init orthogonal needs."
            )

    @property
    def engines(self) -> tuple[str, ...]:
        """The serving engines, each once."""
        if not isinstance(self.serve, (str, Sequence)):
            raise PlanError(f"--serve is {self.serve!r}; expected a list of serving engines.")
        if isinstance(self.serve, str):
            return tuple(dict.fromkeys(name.strip() for name in self.serve.split(",") if name))
        return tuple(self.serve)

    @property
    def preset_name(self) -> str:
        """The preset that holds; `roles` if roles are named instead."""
        if self.roles:
            return "roles"
        if self.preset is not None:
            return self.preset
        return TASKS[self.task].preset if self.task is not None else DEFAULT_PRESET

    @property
    def starts_from_weights(self) -> bool:
        """Whether the LoRA matrices are initialized from the model's weights or from data."""
        return self.init not in (True, False, "gaussian")

    @property
    def has_own_ranks(self) -> bool:
        """Whether a role of the list is given a rank of its own."""
        return any(role.rank is not None for role in self.parsed_roles)

    @property
    def words(self) -> tuple[str, ...]:
        """The words or roles asked for, in order: the role list's, else the preset's."""
        if self.roles:
            return tuple(role.entry for role in self.parsed_roles)
        return PRESETS[self.preset_name].words

    @property
    def parsed_roles(self) -> tuple[RoleRank, ...]:
        """The role list, read."""
        return tuple(parse_role(entry) for entry in self._role_entries)

    @property
    def _role_entries(self) -> Sequence[str]:
        """The role list as `q=8` or `q`, whichever way it was given."""
        if isinstance(self.roles, Mapping):
            return tuple(
                role if rank is None else f"{role}={rank}" for role, rank in self.roles.items()
            )
        if isinstance(self.roles, str):
            return self.roles.split(",") if self.roles else ()
        return self.roles

    @property
    def parsed_layers(self) -> frozenset[int] | None:
        """The layer indices; None for all."""
        return None if self.layers is None else _layer_indices(self.layers)

    @property
    def parsed_towers(self) -> tuple[Tower, ...]:
        """The towers asked for; empty for the main ones."""
        if isinstance(self.towers, str):
            raise PlanError(f"--tower is {self.towers!r}; expected a list of towers.")
        known = tuple(tower.value for tower in Tower)
        for tower in self.towers:
            _one_of("--tower", tower, known)
        return tuple(Tower(tower) for tower in self.towers)


def _layer_indices(layers: str | Sequence[int]) -> frozenset[int]:
    if isinstance(layers, str):
        try:
            return parse_layers(layers)
        except ValueError:
            raise PlanError(
                f"--layers is {layers!r}; expected indices and ranges first-last up to"
                f" {MOST_LAYERS:,}, for example 0-15,20."
            ) from None
    for index in layers:
        _whole("--layers", index, 0, MOST_LAYERS)
    if not layers:
        raise PlanError("--layers is empty; expected indices, for example 0-15,20.")
    return frozenset(layers)


def _one_of(option: str, value: object, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise PlanError(f"{option} is {value!r}; expected one of {', '.join(known)}.")


def _check_version(peft_version: str) -> None:
    try:
        behaviour_of(peft_version)
    except SpecificationError as error:
        raise PlanError(f"peft_version: {error.what}", error.hint) from error


def _check_engines(names: Sequence[str]) -> None:
    if names:
        from lorascope.serving.engines import engines

        for name in names:
            _one_of("--serve", name, tuple(engines()))


def _whole(option: str, value: object, least: int, most: int | None) -> None:
    if value is None:
        return
    in_range = (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value >= least
        and (most is None or value <= most)
    )
    if not in_range:
        upper = "" if most is None else f" to {most:,}"
        raise PlanError(f"{option} is {value!r}; expected a whole number from {least}{upper}.")


def _number(option: str, value: object, above: float) -> None:
    if value is not None and not (_is_number(value) and above < value < float("inf")):
        raise PlanError(f"{option} is {value!r}; expected a number above {above:g}.")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_init(value: object) -> bool:
    return isinstance(value, str) and (value in INITS or bool(_PISSA_STEPS.fullmatch(value)))


def _names(option: str, values: object) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise PlanError(f"{option} is {values!r}; expected a list of names.")
    for value in values:
        if not isinstance(value, str) or not value.strip():
            raise PlanError(f"{option} holds {value!r}; expected names.")
