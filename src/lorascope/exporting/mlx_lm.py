"""mlx-lm's YAML.

Source: mlx-lm 0.32.2, `mlx_lm/lora.py` and `linear_to_lora_layers` in `mlx_lm/tuner/utils.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lorascope.core.errors import ExportError
from lorascope.core.export import Loss, Trainer
from lorascope.core.inventory import Module
from lorascope.core.roles import PERCEPTION, Kind, Role
from lorascope.exporting.exporter import Draft
from lorascope.exporting.mlx_models import ABSENT, EXPERTS, MODEL_TYPES
from lorascope.exporting.told import Told, exporter
from lorascope.exporting.ways import main_target, plain_number
from lorascope.formats.mlx_lm import DIALECT
from lorascope.formats.mlx_targets import STACKED, block_of, blocks_of
from lorascope.matching.configured import Configured
from lorascope.planning.targets import place

_ALL = -1
_PARTS = ("gate_proj", "up_proj", "down_proj")
_SECTION = ("keys", "rank", "alpha", "scale", "dropout")
_FUSED = frozenset({Role.MOE_EXPERTS_GATE_UP})


def _drafts(wanted: Configured) -> Iterator[Draft]:
    """Name the modules inside of the last blocks, else of all, else each by its full name.

    Raises:
        ExportError: mlx-lm has no class for the model, or takes LoRA on none of the modules.
    """
    _check_model(wanted)
    blocks = blocks_of(wanted.inventory)
    chosen = _modules(wanted)
    inside = [(block_of(module) if module.layer is not None else None) for module in chosen]
    touched = {block for block in inside if block in blocks}
    outside = [m.path for m, block in zip(chosen, inside, strict=True) if block not in blocks]
    keys = _keys(wanted, ((m, b) for m, b in zip(chosen, inside, strict=True) if b in touched))
    if not keys and not outside:
        raise ExportError(
            f"mlx-lm can adapt none of the modules that {wanted.origin} adapts.",
            "Its classes have other ones than transformers' there.",
        )
    last = len(touched)
    if touched and touched == set(blocks[-last:]):
        yield _draft(wanted, [*keys, *outside], _ALL if last == len(blocks) else last)
    if touched or outside:
        yield _draft(wanted, [*keys, *outside], _ALL)
    has_towers = any(module.tower in PERCEPTION for module in wanted.inventory.modules)
    if not has_towers:  # else the full names are not transformers'
        absent = ABSENT.get(wanted.inventory.model.model_type or "", frozenset())
        known = [m for m in chosen if m.kind is not Kind.EXPERT_PARAMETER and m.name not in absent]
        yield _draft(wanted, [module.path for module in known], _ALL)


def _check_model(wanted: Configured) -> None:
    model_type = wanted.inventory.model.model_type
    if model_type not in MODEL_TYPES:
        raise ExportError(
            f"mlx-lm {DIALECT.version} has no class for the model type {model_type!r}.",
            "Another tool may train it.",
        )


def _modules(wanted: Configured) -> list[Module]:
    """Return what is adapted, sorted by role: q, k, v, o, gate, up, down."""
    known = wanted.inventory.by_path
    found = [known.get(path) or known[path.rpartition(".")[0]] for path in wanted.adapted]
    return sorted(found, key=lambda module: place(module.role))


def _keys(wanted: Configured, modules: Iterable[tuple[Module, str | None]]) -> list[str]:
    """Return paths inside of a block, each once."""
    model_type = wanted.inventory.model.model_type or ""
    absent = ABSENT.get(model_type, frozenset())
    keys: dict[str, None] = {}
    for module, block in modules:
        if module.kind is Kind.EXPERT_PARAMETER:
            container = EXPERTS.get(model_type)
            stacked = STACKED.get(module.role, frozenset()) if container else frozenset()
            keys |= dict.fromkeys(f"{container}.{part}" for part in _PARTS if part in stacked)
        elif module.name not in absent:
            keys[module.path[len(block or "") + 1 :]] = None
    return list(keys)


def _draft(wanted: Configured, keys: Sequence[str], layers: int) -> Draft:
    spec, main = wanted.spec, main_target(wanted)
    fused = tuple(module.path for module in _modules(wanted) if module.role in _FUSED)
    document: Mapping[str, Any] = {
        "model": wanted.base_model,
        "fine_tune_type": "dora" if spec.use_dora else "lora",
        "num_layers": layers,
        "lora_parameters": {
            "keys": list(keys),
            "rank": main.rank,
            "scale": float(plain_number(main.scaling)),
            "dropout": spec.lora_dropout,
        },
    }
    return Draft(document, losses=(_split(fused),) if fused else ())


def _split(paths: tuple[str, ...]) -> Loss:
    """Return what is one pair of factors in PEFT and two in mlx-lm."""
    return Loss(
        "targets",
        f"mlx-lm trains 2 pairs of factors for each {Role.MOE_EXPERTS_GATE_UP.value} where one was"
        " planned.",
        "It keeps gate and up of the experts apart where transformers fuses them: each gets LoRA of"
        " its own.",
        paths,
    )


EXPORTER = exporter(
    Told(
        to=Trainer.MLX_LM,
        version=DIALECT.version,
        file_name="mlx.yaml",
        drafts=_drafts,
        by_peft=False,
        context={"model": None},
        owned=frozenset(
            {
                "num_layers",
                "lora_layers",
                "fine_tune_type",
                *(
                    f"lora_parameters.{key}"
                    for key in ("keys", "rank", "alpha", "scale", "dropout")
                ),
            }
        ),
        model_key="model",
        hints={
            "kv_b_proj": "mlx-lm cuts kv_b_proj in two, embed_q and unembed_out, which take"
            " no LoRA.",
            "r": "mlx-lm has one rank for all modules.",
            "lora_alpha": "mlx-lm has one scale for all modules.",
            "modules_to_save": "mlx-lm trains no module whole beside LoRA.",
            "bias": "mlx-lm trains no biases beside LoRA.",
        },
    )
)
