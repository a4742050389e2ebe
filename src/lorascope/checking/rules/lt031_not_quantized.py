"""LT031: quantization leaves most of the model out, or packs a weight that a kernel reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import as_written, listed
from lorascope.core.finding import Severity
from lorascope.core.numbers import percent, size
from lorascope.core.recipe import Tool
from lorascope.core.roles import Kind

_LOADED = {"load_in_4bit": 4, "load_in_8bit": 8}
_BITS = ("quantization_bit", "quant_bits")
_SMALL_SHARE = 0.05
"""Stacked experts below this share of the weights are not worth a word."""
_MAMBA = ("x_proj", "dt_proj", "out_proj")
_MAMBA2 = ("out_proj",)
_READ_DIRECTLY: Mapping[str, tuple[str, ...]] = {
    "mamba": _MAMBA,
    "falcon_mamba": _MAMBA,
    "mamba2": _MAMBA2,
    "bamba": _MAMBA2,
    "falcon_h1": _MAMBA2,
    "granitemoehybrid": _MAMBA2,
    "nemotron_h": _MAMBA2,
    "zamba2": _MAMBA2,
}
"""Model type → linear layers whose weight its fused path takes in training, quantized or not.

Jamba and Zamba are not among them: they have no such path, and Jamba calls `dt_proj` as a layer
where it is quantized.

Source: transformers 5.23, the mixers in `models/*/modeling_*.py`.
"""
_LEFT_OUT_BY_AXOLOTL = frozenset({"falcon_h1"})
"""Model types whose `out_proj` Axolotl itself keeps out of quantization.

Source: axolotl 0.19.0, `_set_quantization_config` in `loaders/model.py`.
"""


def find(subject: Subject) -> Iterator[Problem]:
    """Find stacked experts that stay as they are, and packed weights that are read directly."""
    asked = _asked(subject.recipe.options)
    if asked is None:
        return
    option, bits = asked
    if not _is_on(subject.recipe.options.get("quantize_moe_experts")):
        yield from _experts(subject, option, bits)
    yield from _read_directly(subject, option, bits)


def _is_on(value: Any) -> bool:
    return str(value).lower() in ("true", "1", "yes", "on")


def _asked(options: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return the option that quantizes the base model, and to how many bits; None if none does."""
    for option, bits in _LOADED.items():
        if _is_on(options.get(option)):
            return option, bits
    for option in _BITS:
        if str(options.get(option)) in ("4", "8"):
            return option, int(options[option])
    if str(options.get("adapter")) == "qlora":
        return "adapter", 4
    return None


def _said(subject: Subject, option: str) -> str:
    return f"{option}: {as_written(subject.recipe.options[option])}"


def _experts(subject: Subject, option: str, bits: int) -> Iterator[Problem]:
    experts = [m for m in subject.model.modules if m.kind is Kind.EXPERT_PARAMETER]
    count = sum(module.total_params for module in experts)
    total = subject.model.model.total_params
    if count <= _SMALL_SHARE * total:
        return
    yield Problem(
        entry=option,
        message=(
            f"{_said(subject, option)} quantizes linear layers to {bits} bits; "
            f"{percent(count, total)} of the weights are stacked expert parameters, which stay as "
            f"they are: {size(2 * count)} in bfloat16."
        ),
        hint=(
            "Add quantize_moe_experts: true, with which Axolotl quantizes them."
            if subject.recipe.tool is Tool.AXOLOTL
            else "Plan the memory for them, or take a checkpoint that is stored quantized."
        ),
        paths=tuple(module.path for module in experts[:MOST_PATHS]),
    )


def _read_directly(subject: Subject, option: str, bits: int) -> Iterator[Problem]:
    model = subject.model.model
    if subject.recipe.tool is Tool.AXOLOTL and model.model_type in _LEFT_OUT_BY_AXOLOTL:
        return
    names_read = _READ_DIRECTLY.get(model.model_type or "", ())
    read = [
        module
        for module in subject.modules.values()
        if module.cls == "Linear" and module.role.group == "ssm" and module.name in names_read
    ]
    if not read:
        return
    names = tuple(dict.fromkeys(module.name for module in read))
    yield Problem(
        entry=option,
        message=(
            f"{_said(subject, option)} packs {len(read)} linear layers ({listed(names)}) into "
            f"{bits} bits whose weight a fused state-space kernel reads directly: the first step "
            "fails where the kernel is installed."
        ),
        hint=_how_to_keep_out(subject, option, bits, names),
        paths=tuple(module.path for module in read[:MOST_PATHS]),
    )


def _how_to_keep_out(subject: Subject, option: str, bits: int, names: Sequence[str]) -> str:
    """Say what keeps layers out of quantization, in the tool's own keys.

    Source: axolotl 0.19.0, `_set_quantization_config` in `loaders/model.py`; llamafactory 0.9.5,
    TRL 1.16.0 and ms-swift 4.6.0 have no key for it.
    """
    tool = subject.recipe.tool
    if tool is Tool.AXOLOTL and bits == 4:
        kept = ", ".join(("lm_head", *names))
        return f"Keep them out: bnb_config_kwargs: {{llm_int8_skip_modules: [{kept}]}}."
    if tool is Tool.AXOLOTL:
        return (
            f"Train without {option}: only with adapter qlora and 4 bits can Axolotl leave layers "
            "out, by bnb_config_kwargs."
        )
    return f"Train without {option}: {tool.value} has no key that leaves layers out of it."


_EXPERTS_ADAPTED = """\
base_model: Qwen/Qwen3-30B-A3B
adapter: qlora
load_in_4bit: true
lora_r: 16
lora_alpha: 32
lora_target_modules: [q_proj, k_proj, v_proj, o_proj]
"""

RULE = Rule(
    code="LT031",
    name="not-quantized",
    severity=Severity.WARNING,
    summary="Quantization leaves the stacked experts out, or breaks a state-space block.",
    why=(
        "bitsandbytes and its like replace `nn.Linear`. transformers 5 keeps the experts of a "
        "mixture as stacked 3-D parameters, which are none: 4-bit loading of Qwen3-30B-A3B still "
        "takes 54 GiB. And the fused kernels of Mamba's and Mamba 2's blocks read "
        "`out_proj.weight` past the layer, which is packed bytes after quantization."
    ),
    instead=(
        "Quantize the experts as well where the trainer can, count their memory where it cannot, "
        "and keep what a kernel reads out of quantization."
    ),
    bad=Example("Qwen3-30B-A3B", _EXPERTS_ADAPTED, Tool.AXOLOTL),
    good=Example("Qwen3-30B-A3B", f"{_EXPERTS_ADAPTED}quantize_moe_experts: true\n", Tool.AXOLOTL),
    reports=(
        "bitsandbytes-foundation/bitsandbytes#1849",
        "axolotl-ai-cloud/axolotl#3461",
        "axolotl-ai-cloud/axolotl#3951",
    ),
    needs=Needs.MODEL,
    find=find,
)
