"""When `inspect` runs a model, what the cache keeps of that, and what cannot be run."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import lorascope
from lorascope.core.errors import MissingDependencyError, RemoteCodeError
from lorascope.core.inventory import Inventory
from lorascope.core.observation import Call
from lorascope.core.roles import Evidence
from lorascope.observe import inspected

SIZES = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 32,
}
QUERY = "model.layers.1.self_attn.q_proj"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORASCOPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SIZES))
    return folder


def how(inventory: Inventory) -> tuple[str, bool, Evidence]:
    query = inventory.by_path[QUERY]
    assert (inventory.observation is None) == (query.observed is None)
    return inventory.built_with.method, inventory.observation is not None, query.evidence


OBSERVED = ("meta", True, Evidence.OBSERVED)
NAMED = ("meta", False, Evidence.NAMED)


def test_a_small_model_is_observed_unasked_and_the_cache_keeps_that(directory: Path) -> None:
    first = lorascope.inspect(directory)
    assert how(first) == OBSERVED
    assert first.observation is not None
    assert "input_ids" in first.observation.inputs
    assert first.observation.attentions == 2
    second = lorascope.inspect(directory)
    assert how(second) == ("cache", *OBSERVED[1:])
    assert (second.modules, second.observation) == (first.modules, first.observation)


def test_a_large_model_is_observed_only_if_asked(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(1 for _ in lorascope.inspect(directory, cache=False).adaptable)
    monkeypatch.setattr(inspected, "MOST_MODULES", size)
    assert how(lorascope.inspect(directory, cache=False)) == OBSERVED
    monkeypatch.setattr(inspected, "MOST_MODULES", size - 1)
    assert how(lorascope.inspect(directory, cache=False)) == NAMED
    assert how(lorascope.inspect(directory, cache=False, observe=True)) == OBSERVED


def test_what_is_cached_without_observation_answers_until_one_is_asked(directory: Path) -> None:
    assert how(lorascope.inspect(directory, observe=False)) == NAMED
    assert how(lorascope.inspect(directory)) == ("cache", *NAMED[1:])
    assert how(lorascope.inspect(directory, observe=True)) == OBSERVED
    for choice in (None, True, False):
        assert how(lorascope.inspect(directory, observe=choice)) == ("cache", *OBSERVED[1:])


def test_a_model_in_memory_is_left_as_it_is() -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    settings = model.config.to_dict()
    assert how(lorascope.inspect(model)) == OBSERVED
    assert how(lorascope.inspect(model, observe=False)) == NAMED
    assert model.training
    assert model.config.to_dict() == settings
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(p.grad is None and p.device.type == "cpu" for p in model.parameters())


class Failing(nn.Module):
    """A model whose forward raises."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4)])

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such day")


@pytest.mark.parametrize("observe", [None, True])
def test_a_forward_that_raises_is_told_and_no_error(observe: bool | None) -> None:
    found = lorascope.inspect(Failing(), observe=observe)
    assert found.observation is not None
    assert "no such day" in (found.observation.reason or "")
    seen = found.by_path["layers.0"].observed
    assert seen is None or seen.call is Call.NOT_REACHED
    assert found.by_path["layers.0"].hazards == ()


@pytest.fixture
def checkpoint(directory: Path) -> Path:
    """A directory with weights, whose class only code of its repository could build."""
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    save_file(dict(model.state_dict()), directory / "model.safetensors")
    config = {**SIZES, "model_type": "secret", "auto_map": {"AutoModel": "modeling.Model"}}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def test_headers_alone_cannot_be_observed(checkpoint: Path) -> None:
    for choice in (None, False):
        assert how(lorascope.inspect(checkpoint, observe=choice)) == ("checkpoint", *NAMED[1:])
    with pytest.raises(RemoteCodeError) as caught:
        lorascope.inspect(checkpoint, observe=True)
    assert caught.value.what.startswith("To observe a model is to run it, which headers alone do")
    assert "auto_map" in caught.value.what
    assert "--trust-remote-code" in (caught.value.hint or "")
    assert "Without --observe (observe=None) the headers are enough." in (caught.value.hint or "")


@pytest.fixture
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    hidden = {"torch", "transformers"}
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in hidden else find(name, *rest),
    )


@pytest.mark.parametrize("weights", [True, False])
def test_without_torch_observing_names_the_command_that_installs_it(
    checkpoint: Path, request: pytest.FixtureRequest, *, weights: bool
) -> None:
    if not weights:
        (checkpoint / "model.safetensors").unlink()
    request.getfixturevalue("_without_torch")
    with pytest.raises(MissingDependencyError, match=r"pip install 'lorascope\[torch\]'"):
        lorascope.inspect(checkpoint, observe=True)


def test_without_torch_the_cache_answers_with_what_was_observed(
    directory: Path, request: pytest.FixtureRequest
) -> None:
    lorascope.inspect(directory)
    request.getfixturevalue("_without_torch")
    assert how(lorascope.inspect(directory, observe=True)) == ("cache", *OBSERVED[1:])


def test_without_torch_the_cache_cannot_add_an_observation(
    directory: Path, request: pytest.FixtureRequest
) -> None:
    lorascope.inspect(directory, observe=False)
    request.getfixturevalue("_without_torch")
    assert how(lorascope.inspect(directory)) == ("cache", *NAMED[1:])
    with pytest.raises(MissingDependencyError, match="needs torch and transformers"):
        lorascope.inspect(directory, observe=True)
