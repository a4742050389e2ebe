"""Runs leave the process as it was: nothing printed, and several threads at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from huggingface_hub import constants
from transformers import LlamaConfig, LlamaForCausalLM
from transformers import logging as transformers_logging

import lorascope

PROGRAM = "from lorascope.cli.main import entry_point; raise SystemExit(entry_point())"
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 32,
}


def _process() -> tuple[object, ...]:
    return (
        sys.stdout,
        tuple(warnings.filters),
        transformers_logging.get_verbosity(),
        constants.HF_HUB_OFFLINE,
        dict(os.environ),
    )


def _answers(model: LlamaForCausalLM) -> tuple[int, int]:
    found = lorascope.inspect(model, observe=True).observation
    memory = lorascope.plan(model, setup={"seq_len": 8}).memory
    assert found is not None
    assert memory is not None
    return found.attentions, memory.peak_bytes


def test_threads_get_the_same_answers_and_leave_the_process_as_it_was() -> None:
    models = [LlamaForCausalLM(LlamaConfig(**SIZES)) for _ in range(4)]
    before = _process()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(_answers, models))
    assert set(answers) == {_answers(models[0])}
    assert answers[0][0] == 2
    assert _process() == before


def test_an_operator_that_fails_on_fake_tensors_writes_no_traceback(tmp_path: Path) -> None:
    config = {
        **SIZES,
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "rotary_pct": 3.0,  # more than a head has, so that two operands do not fit
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-c", PROGRAM, "plan", str(tmp_path), "--memory"]
    environment = {**os.environ, "LORASCOPE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: The memory of a training step cannot be predicted")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2
