"""LT039: a key that the tool does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.core.finding import Severity
from lorascope.core.recipe import Tool

_IGNORED = "takes no notice of it"
_REFUSED = "stops at it"
_RESULT: Mapping[Tool, tuple[str, str]] = {
    Tool.PEFT: (
        "PEFT",
        "leaves it out with a warning, or stops at it where the file does not name its peft_type",
    ),
    Tool.AXOLOTL: ("Axolotl", "drops it"),
    Tool.LLAMAFACTORY: ("LLaMA-Factory", _REFUSED),
    Tool.MS_SWIFT: ("ms-swift", _REFUSED),
    Tool.TRL: (
        "TRL",
        "stops at it on a command line, while its commands leave it out of a configuration file",
    ),
    Tool.TORCHTUNE: ("torchtune", _REFUSED),
    Tool.MLX_LM: ("mlx-lm", _IGNORED),
}
"""What each tool does with a key that it does not know.

Sources: peft 0.21.2, `PeftConfigMixin.from_peft_type`; axolotl 0.19.0, `validate_config` (pydantic
with extra keys ignored); llamafactory 0.9.5, `hparams/parser.py` (`allow_extra_keys` is false
unless ALLOW_EXTRA_ARGS is set); ms-swift 4.6.0, `parse_args` (remaining arguments raise); TRL
1.16.0, `TrlParser.parse_args_and_config`, which `trl/scripts/` call with `fail_with_unknown_args`
false; torchtune 0.6.1,
`config.instantiate` (a keyword that the builder lacks); mlx-lm 0.32.2, `lora.py`.
"""


def find(subject: Subject) -> Iterator[Problem]:
    """Find keys of the LoRA part that the tool does not know."""
    title, result = _RESULT[subject.recipe.tool]
    for key, near in subject.recipe.unknown.items():
        yield Problem(
            entry=key,
            message=f"{title} knows no key {key!r} and {result}.",
            hint=(
                f"Write {near[0]}."
                if len(near) == 1
                else f"It may be one of {', '.join(near)}."
                if near
                else f"{title} has no such setting; remove it."
            ),
        )


RULE = Rule(
    code="LT039",
    name="unknown-key",
    severity=Severity.WARNING,
    summary="A key that the tool does not know, near to one that it knows.",
    why=(
        "Each tool calls the same setting otherwise: PEFT's `r` is `lora_r` in Axolotl and TRL and "
        "`lora_rank` in LLaMA-Factory and ms-swift. With a key that it does not know a tool either "
        "stops, or trains with its default: `rank: 64` in an adapter_config.json gives r = 8."
    ),
    instead="Take the tool's own key.",
    bad=Example(
        "Llama-3.1-8B",
        '{"peft_type": "LORA", "rank": 64, "target_modules": ["q_proj", "v_proj"]}',
    ),
    good=Example(
        "Llama-3.1-8B",
        '{"peft_type": "LORA", "r": 64, "target_modules": ["q_proj", "v_proj"]}',
    ),
    reports=("huggingface/peft#2038", "hiyouga/LLaMA-Factory#5348"),
    needs=Needs.CONFIG,
    find=find,
)
