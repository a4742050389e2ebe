"""LT039: a key that the tool does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit, Tool
from lorascope.formats.torchtune_targets import ATTENTION, MLP
from lorascope.matching import Where

_IGNORED = "takes no notice of it"
_REFUSED = "stops at it"
_RESULT: Mapping[Tool, str] = {
    Tool.PEFT: (
        "leaves it out with a warning, or stops at it where the file does not name its peft_type"
    ),
    Tool.AXOLOTL: "drops it",
    Tool.LLAMAFACTORY: _REFUSED,
    Tool.MS_SWIFT: _REFUSED,
    Tool.TRL: (
        "stops at it on a command line, while its commands leave it out of a configuration file"
    ),
    Tool.TORCHTUNE: _REFUSED,
    Tool.MLX_LM: _IGNORED,
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
    title, result = subject.recipe.tool.own_name, _RESULT[subject.recipe.tool]
    modules = subject.list_targets if subject.recipe.tool is Tool.TORCHTUNE else ()
    for key, near in subject.recipe.unknown.items():
        if key in modules:
            yield _module_of_torchtune(subject, key, near)
            continue
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


def _module_of_torchtune(subject: Subject, name: str, near: tuple[str, ...]) -> Problem:
    """Tell of a listed module that torchtune lacks: it asks for its own names alone."""
    edits: tuple[Edit, ...] = ()
    if near == (MLP,):
        hint = f"Set {MLP}: True, which adapts gate, up and down together."
        if subject.recipe.options.get(MLP):
            hint = f"{MLP} is on and adapts it already; remove it here."
            edits = (Edit(Where.TARGET_MODULES, name, ()),)
    elif len(near) == 1:
        is_listed = near[0] in subject.list_targets
        hint = f"{near[0]} is listed already; remove it." if is_listed else f"Write {near[0]}."
        edits = (Edit(Where.TARGET_MODULES, name, () if is_listed else near),)
    else:
        hint = f"It may be one of {', '.join(near or ATTENTION)}."
    return Problem(
        entry=name,
        message=f"torchtune knows no module {name!r} and takes no notice of it.",
        hint=hint,
        edits=edits,
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
