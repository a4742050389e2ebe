"""torchtune's YAML: the `model` section of a recipe.

Source: torchtune 0.6.1, `torchtune/models/*/_model_builders.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from lorascope.core.errors import ExportError
from lorascope.core.export import Loss, Trainer
from lorascope.core.inventory import Module
from lorascope.core.roles import Role
from lorascope.exporting.exporter import Draft
from lorascope.exporting.told import Told, exporter
from lorascope.exporting.ways import main_target, plain_number
from lorascope.formats.node import Syntax
from lorascope.formats.recognize import parse
from lorascope.formats.torchtune import DIALECT
from lorascope.formats.torchtune_models import HUB_IDS, OUTPUT_REFUSED, TIED
from lorascope.formats.torchtune_targets import ATTENTION, FEED_FORWARD, MLP
from lorascope.matching.configured import Configured

_FAMILIES = (
    "code_llama2", "gemma", "gemma2", "llama2", "llama3", "llama3_1", "llama3_2", "llama3_2_vision",
    "llama3_3", "mistral", "phi3", "phi4", "qwen2", "qwen2_5",
)  # fmt: skip
"""Modules of `torchtune.models`."""
_VISION = "llama3_2_vision"
_PARTS = ("decoder_trainable", "encoder_trainable", "fusion_trainable")
_WITHOUT_DORA = frozenset({"llama3_1_405b"})
_WITH_LORA = re.compile(r"^q?lora_")
_TUNED = re.compile(r"-(?:instruct|it|hf|chat|base)(?=-|$)")
_SPLIT: Mapping[Role, int] = {
    Role.ATTENTION_QKV: 3,
    Role.ATTENTION_KV: 2,
    Role.FFN_GATE_UP: 2,
}
"""Fused in transformers → how many pairs of factors torchtune trains for it."""


def _drafts(wanted: Configured) -> Iterator[Draft]:
    """Take the switches that adapt what is wanted, else more or less of it.

    Raises:
        ExportError: torchtune has no builder for the model.
    """
    builder = builder_of(wanted.base_model)
    modules = _modules(wanted)
    roles = {module.role for module in modules}
    attention = [name for name, meant in ATTENTION.items() if roles & meant]
    ways: list[list[str]] = [attention] if attention else [[name] for name in ATTENTION]
    heads = {wanted.inventory.model.output_embedding, wanted.inventory.model.classifier_head}
    has_head = any(module.path in heads or module.role is Role.PROJECTOR for module in modules)
    feed_forward = bool(roles & FEED_FORWARD)
    outputs = (has_head, False) if has_head and builder not in OUTPUT_REFUSED else (False,)
    parts = (
        [dict(zip(_PARTS, each, strict=True)) for each in product(("lora", "frozen"), repeat=3)]
        if builder.startswith(_VISION)
        else [{}]
    )
    for names, mlp, output, trained in product(
        ways, (feed_forward, not feed_forward), outputs, parts
    ):
        document = _document(wanted, builder, names, mlp=mlp, output=output, parts=trained)
        yield Draft(document, losses=tuple(_split(modules)))


def _split(modules: Sequence[Module]) -> Iterator[Loss]:
    """Yield what is one pair of factors in PEFT and several in torchtune."""
    for role, parts in _SPLIT.items():
        paths = tuple(module.path for module in modules if module.role is role)
        if paths:
            yield Loss(
                "targets",
                f"torchtune trains {parts} pairs of factors for each {role.value} where one was"
                " planned.",
                "It builds q, k and v, and gate and up, as linears of their own where this model"
                " fuses them: each gets LoRA of its own.",
                paths,
            )


def _document(
    wanted: Configured,
    builder: str,
    attention: Sequence[str],
    *,
    mlp: bool,
    output: bool,
    parts: Mapping[str, str],
) -> Mapping[str, Any]:
    spec, main = wanted.spec, main_target(wanted)
    family = max((f for f in _FAMILIES if builder.startswith(f"{f}_")), key=len)
    model: dict[str, Any] = {
        "_component_": f"torchtune.models.{family}.lora_{builder}",
        **parts,
        "lora_attn_modules": list(attention),
        MLP: mlp,
    }
    if builder not in TIED:
        model["apply_lora_to_output"] = output
    model |= {
        "lora_rank": main.rank,
        "lora_alpha": plain_number(main.scaling * main.rank),
        "lora_dropout": spec.lora_dropout,
    }
    if spec.use_dora and builder not in _WITHOUT_DORA:
        model["use_dora"] = True
    return {"model": model}


def builder_of(base_model: str) -> str:
    """Return the builder of a published model, without `lora_`.

    A model that was only trained further has the builder of the one that it comes from.

    Raises:
        ExportError: There is none.
    """
    exact = [name for name, hub_id in HUB_IDS.items() if hub_id.lower() == base_model.lower()]
    alike = [name for name, hub_id in HUB_IDS.items() if _family(hub_id) == _family(base_model)]
    found = [*exact, *alike]
    if not found:
        raise ExportError(
            f"torchtune {DIALECT.version} has no builder for {base_model}.",
            "It builds " + ", ".join(_FAMILIES) + " of some sizes.",
        )
    return found[0]


def _family(hub_id: str) -> str:
    name = hub_id.rpartition("/")[2].lower().removeprefix("meta-")
    return _TUNED.sub("", name)


def _modules(wanted: Configured) -> list[Module]:
    known = wanted.inventory.by_path
    return [known.get(path) or known[path.rpartition(".")[0]] for path in wanted.adapted]


def _also_kept(draft: Draft) -> Mapping[str, frozenset[Any] | None]:
    """A file may have the quantized builder of the same model."""
    component = str(draft.document["model"]["_component_"])
    quantized = component.replace(".lora_", ".qlora_")
    return {"model._component_": frozenset({component, quantized})}


def _replaced(draft: Draft, text: str, origin: str) -> str | None:
    """Return the published model whose builder a file names, if it is not the draft's."""
    before = _builder_in(parse(text, origin, Syntax.YAML)[0].value)
    if before is None or before == _builder_in(draft.document):
        return None
    return HUB_IDS.get(before, before)


def _builder_in(document: Any) -> str | None:
    model = document.get("model") if isinstance(document, Mapping) else None
    component = model.get("_component_") if isinstance(model, Mapping) else None
    if not isinstance(component, str):
        return None
    return _WITH_LORA.sub("", component.rpartition(".")[2])


EXPORTER = exporter(
    Told(
        to=Trainer.TORCHTUNE,
        version=DIALECT.version,
        file_name="torchtune.yaml",
        drafts=_drafts,
        by_peft=False,
        context={},
        owned=frozenset(
            f"model.{key}"
            for key in (
                "lora_attn_modules",
                MLP,
                "apply_lora_to_output",
                "lora_rank",
                "lora_alpha",
                "lora_dropout",
                "use_dora",
                *_PARTS,
            )
        ),
        model_key="model",
        replaced=_replaced,
        also_kept=_also_kept,
        hints={
            "targets": "torchtune adapts the chosen attention modules, and all feed-forward modules"
            " or none, of every layer.",
            "r": "torchtune has one rank for all modules.",
            "lora_alpha": "torchtune has one alpha for all modules.",
            "modules_to_save": "torchtune trains no module whole beside LoRA.",
        },
    )
)
