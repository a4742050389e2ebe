"""LT027: `layers_to_transform` and `layers_pattern`."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from one_rule import found
from torch import nn

from lorascope import api
from lorascope.checking import findings_of, subject_of
from lorascope.checking.rules.lt027_layers_not_as_meant import RULE
from lorascope.core.recipe import Recipe, Tool


def _layers(layers: object, **more: object) -> dict[str, object]:
    return {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": layers, **more}


def test_some_layers_are_out_of_range() -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _layers([30, 32, 33]))
    assert (finding.entry, finding.severity) == ("32, 33", "warning")
    assert "of 3 layers asked for 1 are there" in finding.message
    assert "0 to 31" in finding.hint


def test_all_layers_are_out_of_range() -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _layers([-1]))
    assert finding.severity == "error"
    assert "negative" in finding.hint


@pytest.mark.parametrize("targets", ["all-linear", r".*\.(q|v)_proj"])
def test_string_of_targets_is_refused(targets: str) -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _layers([0]) | {"target_modules": targets})
    assert (finding.entry, finding.severity) == ("0", "error")


def test_pattern_without_layers_is_refused() -> None:
    config = {"target_modules": ["q_proj"], "layers_pattern": "layers"}
    [finding] = found(RULE, "Llama-3.1-8B", config)
    assert (finding.where, finding.severity) == ("layers_pattern", "error")


def test_pattern_of_another_architecture() -> None:
    config = {"target_modules": ["c_attn"], "layers_to_transform": [0], "layers_pattern": "layers"}
    [finding] = found(RULE, "GPT-2", config)
    assert finding.severity == "error"
    assert "in h" in finding.hint


def test_full_name_bypasses_the_layers() -> None:
    names = ["model.layers.5.self_attn.q_proj", "v_proj"]
    [finding] = found(RULE, "Llama-3.1-8B", _layers([0]) | {"target_modules": names})
    assert finding.paths == ("model.layers.5.self_attn.q_proj",)


def test_parameters_bypass_the_layers() -> None:
    config = _layers([0]) | {"target_parameters": ["experts.down_proj"]}
    [finding] = found(RULE, "Qwen3-30B-A3B", config)
    assert "47 targets outside" in finding.message


class _Bare(nn.Module):
    """Blocks at the top, as in a bare GPT-2, with a list of experts inside."""

    def __init__(self) -> None:
        super().__init__()
        self.h = nn.ModuleList()
        for _ in range(2):
            block = nn.Module()
            block.experts = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
            block.fc = nn.Linear(4, 4)
            self.h.append(block)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_index_of_an_expert_is_taken_for_the_layer() -> None:
    inventory = api.inspect(_Bare(), observe=False)
    modules = tuple(
        replace(m, layer=int(m.path.split(".")[1])) if m.path.startswith("h.") else m
        for m in inventory.modules
    )
    inventory = replace(inventory, modules=modules)
    names = ["experts.0", "experts.1", "experts.2", "fc"]
    config = {"target_modules": names, "layers_to_transform": [1]}
    subject = subject_of(Recipe(Tool.PEFT, "test", config), inventory)
    assert subject.adapted_paths == set()
    texts = [finding.message for finding in findings_of(subject, (RULE,))]
    assert any("no layer index in 8 of 8 names" in text for text in texts)
    good = config | {"layers_pattern": "h"}
    subject = subject_of(Recipe(Tool.PEFT, "test", good), inventory)
    assert len(subject.adapted_paths) == 4
    assert findings_of(subject, (RULE,)) == ()


def test_bare_model_has_no_index_where_peft_looks() -> None:
    config = {"target_modules": ["c_attn"], "layers_to_transform": [0]}
    example = {"task_type": "FEATURE_EXTRACTION"}
    [finding] = found(RULE, "GPT-2", config, **example)
    assert finding.severity == "error"
    assert "layers_pattern: 'h'" in finding.hint
    assert found(RULE, "GPT-2", config | {"layers_pattern": "h"}, **example) == ()


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("Llama-3.1-8B", _layers([0, 31])),
        ("Llama-3.1-8B", _layers(31)),
        ("Llama-3.1-8B", _layers([0, 31], layers_pattern="layers")),
        ("GPT-2", {"target_modules": ["c_attn"], "layers_to_transform": [11]}),
        ("T5-base", {"target_modules": ["q", "v"], "layers_to_transform": [11]}),
        ("BERT-base", {"target_modules": ["query"], "layers_to_transform": [0]}),
        ("Qwen3-30B-A3B", _layers([47])),
        ("Mixtral-8x7B", _layers([0])),
        ("Llama-3.1-8B", {"target_modules": ["q_proj"]}),
    ],
)
def test_layers_that_are_there(model: str, config: dict[str, object]) -> None:
    assert found(RULE, model, config) == ()


@pytest.mark.parametrize("pattern", ["layerss", "decoder.layers", ["blocks"]])
@pytest.mark.parametrize("layers", [[0], [0, 99]])
def test_a_pattern_that_matches_nothing_is_blamed_and_no_index(
    pattern: object, layers: list[int]
) -> None:
    config = {"target_modules": ["q_proj"], "layers_to_transform": layers}
    [finding] = found(RULE, "Llama-3.1-8B", config | {"layers_pattern": pattern})
    assert (finding.where, finding.severity) == ("layers_pattern", "error")
    assert finding.hint == "The blocks of this model are in layers."


def test_an_index_out_of_range_is_blamed_where_the_pattern_is_right() -> None:
    config = {"target_modules": ["q_proj"], "layers_to_transform": [99], "layers_pattern": "layers"}
    [finding] = found(RULE, "Llama-3.1-8B", config)
    assert finding.where == "layers_to_transform"
