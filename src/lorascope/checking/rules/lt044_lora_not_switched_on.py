"""LT044: TRL has settings of LoRA, and LoRA is not switched on."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.core.finding import Severity
from lorascope.core.recipe import Tool

_SWITCH = "use_peft"


def find(subject: Subject) -> Iterator[Problem]:
    """Find settings that TRL takes no notice of, because its switch for LoRA is off."""
    recipe = subject.recipe
    if recipe.tool is not Tool.TRL or recipe.options.get(_SWITCH) is not False:
        return
    is_off = recipe.spot("", _SWITCH) is not None
    where = "" if is_off else next(iter(recipe.stated), "")
    is_command = any(key.startswith("--") for key in recipe.key_of.values())
    switch = f"--{_SWITCH}" if is_command else f"{_SWITCH}: true"
    yield Problem(
        entry=_SWITCH if is_off else recipe.key(where),
        message=(
            f"TRL trains the whole model: {_SWITCH} is {'off' if is_off else 'missing'}, and "
            "without it no other setting of LoRA counts."
        ),
        hint=f"Write {switch}." if is_off else f"Add {switch}.",
        where=where,
    )


_FILE = """\
model_name_or_path: meta-llama/Llama-3.1-8B
{switch}lora_r: 16
lora_target_modules: [q_proj, v_proj]
"""

RULE = Rule(
    code="LT044",
    name="lora-not-switched-on",
    severity=Severity.ERROR,
    summary="TRL has settings of LoRA, and its switch for LoRA is not on.",
    why=(
        "TRL makes an adapter only with `use_peft`, which is off unless it is given. The other "
        "settings are then read and not used: all weights are trained, without a word, until "
        "memory runs out or a whole model is saved in place of an adapter."
    ),
    instead="Add `--use_peft` to the command, or `use_peft: true` to the file.",
    bad=Example("Llama-3.1-8B", _FILE.format(switch=""), Tool.TRL),
    good=Example("Llama-3.1-8B", _FILE.format(switch="use_peft: true\n"), Tool.TRL),
    reports=("https://huggingface.co/docs/trl/peft_integration",),
    needs=Needs.CONFIG,
    find=find,
)
