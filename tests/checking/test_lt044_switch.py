"""LT044: settings of LoRA without TRL's switch for it."""

from __future__ import annotations

import pytest
from one_rule import found

from lorascope.checking.rules.lt044_lora_not_switched_on import RULE
from lorascope.core.recipe import Tool

_FILE = "model_name_or_path: m\nlora_r: 8\n"
_COMMAND = "#!/bin/sh\ntrl sft --model_name_or_path m --lora_r 8"


@pytest.mark.parametrize(
    ("text", "entry", "state", "hint"),
    [
        (_FILE, "lora_r", "missing", "Add use_peft: true."),
        (_FILE + "use_peft: false\n", "use_peft", "off", "Write use_peft: true."),
        (_COMMAND, "--lora_r", "missing", "Add --use_peft."),
        (_COMMAND + " --use_peft false", "use_peft", "off", "Write --use_peft."),
    ],
)
def test_settings_that_do_not_count(text: str, entry: str, state: str, hint: str) -> None:
    [finding] = found(RULE, "Llama-3.1-8B", text, tool=Tool.TRL)
    assert (finding.entry, finding.hint, finding.severity) == (entry, hint, "error")
    assert finding.message.startswith(f"TRL trains the whole model: use_peft is {state}")
    assert finding.spot is not None


@pytest.mark.parametrize(
    "text",
    [
        _FILE + "use_peft: true\n",
        _COMMAND + " --use_peft",
        _COMMAND + " --config a.yaml",
        # Somebody's own script with TRL's options, which may put LoRA on by itself.
        "#!/bin/sh\npython my/grpo.py --model_name_or_path m --lora_r 8",
    ],
)
def test_switched_on_or_perhaps_elsewhere(text: str) -> None:
    assert found(RULE, "Llama-3.1-8B", text, tool=Tool.TRL) == ()
