"""What a tool would do otherwise than wanted, one loss for each kind of difference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from lorascope.core.export import Loss, Trainer
from lorascope.core.inventory import Inventory
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.exporting.exporter import Outcome
from lorascope.matching.configured import At, Configured
from lorascope.planning.config import EVA_DEFAULTS

_TOLERANCE = 1e-6
_SHOWN = 3

_COMPARED: Mapping[str, str] = {
    "lora_dropout": "LoRA dropout",
    "bias": "trained biases",
    "use_dora": "DoRA",
    "lora_bias": "biases of the LoRA layers",
    "init_lora_weights": "the initialization",
    "trainable_token_indices": "trained tokens",
    "ensure_weight_tying": "tied adapters",
    "layer_replication": "replicated layers",
    "task_type": "the task type",
    "unmodelled": "further settings of PEFT's",
}
"""Fields that change the training and neither targets, ranks nor scales; what messages call them.

`use_rslora` and `alpha_pattern` are in the scales, `fan_in_fan_out` PEFT sets by itself.
"""


_ONLY_OF_PEFT = ("alora_invocation_tokens", "corda_config", "eva_config", "loftq_config")
"""Settings that no other tool here hands to PEFT."""
_DEFAULTS: Mapping[str, Any] = {"eva_config": EVA_DEFAULTS}
"""Those that PEFT takes anyway."""


@dataclass(frozen=True, slots=True)
class _Sides:
    wanted: Mapping[str, At]
    got: Mapping[str, At]

    @property
    def both(self) -> Iterator[tuple[str, At, At]]:
        return ((path, at, self.got[path]) for path, at in self.wanted.items() if path in self.got)


def losses_of(
    outcome: Outcome, wanted: Configured, to: Trainer, hints: Mapping[str, str]
) -> tuple[Loss, ...]:
    """Return what a tool would do otherwise; nothing if it does exactly what is wanted.

    Args:
        outcome: What the tool does.
        wanted: What it should do.
        to: The tool.
        hints: `Loss.what` → why, or what to do.
    """
    inventory = wanted.inventory
    sides = _Sides(_by_module(wanted.adapted, inventory), _by_module(outcome.adapted, inventory))
    found = [
        *_targets(sides, to),
        *_scales(sides, to),
        *_saved(outcome, wanted, to),
        *_fields(outcome.spec, wanted.spec, to),
        *_settings(outcome.spec, wanted, to),
    ]
    return tuple(
        Loss(each.what, each.message, each.hint or _hint(each, hints, inventory), each.paths)
        for each in found
    )


def _hint(loss: Loss, hints: Mapping[str, str], inventory: Inventory) -> str:
    """Return why: of the only name that the modules have, of expert parameters, or of the kind."""
    if loss.what == "targets" and loss.paths:
        known = inventory.by_path
        names = {path.rpartition(".")[2] for path in loss.paths}
        own = hints.get(names.pop(), "") if len(names) == 1 else ""
        if own:
            return own
        found = [known.get(path) for path in loss.paths]
        if all(each is None or each.kind is Kind.EXPERT_PARAMETER for each in found):
            return hints.get("target_parameters", hints.get("targets", ""))
    return hints.get(loss.what, "")


def _by_module(adapted: Mapping[str, At], inventory: Inventory) -> dict[str, At]:
    """Call a linear that is adapted by its weight as if it were adapted as a module.

    PEFT names it so where it would rewrite the module's name; the LoRA weights are the same.
    """
    known = inventory.by_path
    return {
        path if path in known else path.removesuffix(".weight"): at for path, at in adapted.items()
    }


def _targets(sides: _Sides, to: Trainer) -> Iterator[Loss]:
    missing = tuple(path for path in sides.wanted if path not in sides.got)
    extra = tuple(path for path in sides.got if path not in sides.wanted)
    if missing:
        total = len(sides.wanted)
        yield Loss(
            "targets",
            f"{len(missing):,} of {total:,} {_modules(total)} would not be adapted by"
            f" {to.own_name}: {_examples(missing)}.",
            paths=missing,
        )
    if extra:
        yield Loss(
            "targets",
            f"{len(extra):,} {_modules(len(extra))} would be adapted by {to.own_name} that should"
            f" not: {_examples(extra)}.",
            paths=extra,
        )


def _scales(sides: _Sides, to: Trainer) -> Iterator[Loss]:
    ranks = {path: (at.rank, got.rank) for path, at, got in sides.both if at.rank != got.rank}
    scalings = {
        path: (at.scaling, got.scaling)
        for path, at, got in sides.both
        if not isclose(at.scaling, got.scaling, rel_tol=_TOLERANCE)
    }
    yield from _numbers("r", "rank", ranks, to)
    yield from _numbers("lora_alpha", "scale (alpha / r)", scalings, to)


def _numbers(
    what: str, name: str, found: Mapping[str, tuple[float, float]], to: Trainer
) -> Iterator[Loss]:
    if not found:
        return
    path, (asked, got) = next(iter(found.items()))
    yield Loss(
        what,
        f"{len(found):,} {_modules(len(found))} would get another {name} from {to.own_name}:"
        f" {path} {got:.6g} instead of {asked:.6g}{', …' if len(found) > 1 else ''}.",
        paths=tuple(found),
    )


def _saved(outcome: Outcome, wanted: Configured, to: Trainer) -> Iterator[Loss]:
    missing = _in_order(wanted.saved - outcome.saved, wanted.inventory)
    extra = _in_order(outcome.saved - wanted.saved, wanted.inventory)
    if missing:
        yield Loss(
            "modules_to_save",
            f"{to.own_name} would not train and save {_examples(missing)} whole.",
            paths=missing,
        )
    if extra:
        yield Loss(
            "modules_to_save",
            f"{to.own_name} would train and save {_examples(extra)} whole, which is not wanted.",
            paths=extra,
        )


def _fields(got: LoraSpec | None, wanted: LoraSpec, to: Trainer) -> Iterator[Loss]:
    if got is None:
        return
    for name, words in _COMPARED.items():
        asked, done = getattr(wanted, name), getattr(got, name)
        if name == "task_type" and None in (asked, done):
            continue  # PEFT wraps the model plainly then; what is adapted is the same
        if _comparable(asked) != _comparable(done):
            yield Loss(
                name,
                f"The configuration asks for {words} ({name}): {_shown(asked)}."
                f" {to.own_name} would have: {_shown(done)}.",
            )


def _settings(got: LoraSpec | None, wanted: Configured, to: Trainer) -> Iterator[Loss]:
    if got is None or to is Trainer.PEFT:
        return
    for name in _ONLY_OF_PEFT:
        value = wanted.fields.get(name)
        if value and value != _DEFAULTS.get(name):
            yield Loss(
                name,
                f"The configuration sets {name}: {_shown(value)}. {to.own_name} has no such"
                " setting.",
            )


def _comparable(value: Any) -> Any:
    """Return a value such that all that mean the same are equal: nothing is nothing."""
    if isinstance(value, Mapping):
        return {key: tuple(each) for key, each in value.items()} or None
    if isinstance(value, (list, tuple)):
        return tuple(value) or None
    return value


def _shown(value: Any) -> str:
    match value:
        case None | ():
            return "none"
        case bool():
            return str(value).lower()
        case Mapping():
            return json.dumps(dict(value), default=list)
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def _in_order(paths: frozenset[str], inventory: Inventory) -> tuple[str, ...]:
    return tuple(module.path for module in inventory.modules if module.path in paths)


def _modules(count: int) -> str:
    return "module" if count == 1 else "modules"


def _examples(paths: Sequence[str]) -> str:
    return ", ".join((*paths[:_SHOWN], "…") if len(paths) > _SHOWN else paths)
