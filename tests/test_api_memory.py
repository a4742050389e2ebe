"""Memory, budgets and scores through the Python functions, on a tiny real model."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import lorascope
from lorascope import api
from lorascope.core.errors import (
    MemoryPredictionError,
    MissingDependencyError,
    ModelReferenceError,
    PlanError,
    UnknownModelTypeError,
)
from lorascope.core.training import TrainingSetup
from lorascope.planning import Budget, PlanRequest, compare
from lorascope.planning.compare_memory import OVER_MEMORY, OVER_PARAMS
from lorascope.planning.fitted import needed_bytes

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
SETUP = {"batch_size": 4, "seq_len": 32, "dtype": "fp32", "device": "cpu"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORASCOPE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "config.json"
    path.write_text(json.dumps(SIZES))
    return str(path)


def _needed(plan: Any) -> int:
    assert plan.memory is not None
    return needed_bytes(plan.memory)


def test_a_plan_has_no_memory_until_a_setup_asks_for_it(reference: str) -> None:
    assert lorascope.plan(reference).memory is None
    plan = lorascope.plan(reference, setup=SETUP)
    assert plan.memory is not None
    assert plan.memory.setup == TrainingSetup(**SETUP)
    assert plan.memory.parts.adapter == 4 * plan.trainable_params
    assert lorascope.predict_memory(reference, plan, SETUP) == plan.memory


def test_a_module_is_predicted_like_its_reference_and_left_as_it_is(reference: str) -> None:
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = model.training, [p.requires_grad for p in model.parameters()]
    plan = lorascope.plan(model, setup=SETUP)
    assert plan.memory == lorascope.plan(reference, setup=SETUP).memory
    assert state == (model.training, [p.requires_grad for p in model.parameters()])
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert list(after) == list(before)


def test_an_adapter_that_a_module_has_does_not_count(reference: str) -> None:
    adapted = get_peft_model(
        LlamaForCausalLM(LlamaConfig(**SIZES)), LoraConfig(r=64, target_modules=["down_proj"])
    )
    names = [name for name, _ in adapted.named_parameters()]
    plan = lorascope.plan(adapted, setup=SETUP)
    assert plan.memory == lorascope.plan(reference, setup=SETUP).memory
    assert names == [name for name, _ in adapted.named_parameters()]


def test_a_budget_of_memory_changes_the_setup(reference: str) -> None:
    asked = lorascope.plan(reference, setup=SETUP)
    plan = lorascope.plan(reference, setup=SETUP, max_memory=_needed(asked) - 1)
    assert _needed(plan) < _needed(asked)
    assert plan.advice[0].text.startswith("Gradient checkpointing comes first")
    assert plan.advice[0].source is not None
    assert lorascope.plan(reference, setup=SETUP, max_memory="1 GiB").memory == asked.memory


def test_scores_from_a_file_choose_under_both_limits(reference: str, tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    file.write_text(json.dumps({"q": 3, "v_proj": 2.5, "model.layers.1.mlp.down_proj": 9}))
    everything = lorascope.plan(reference, scores=file, setup=SETUP)
    assert {t.path.rpartition(".")[2] for t in everything.targets} == {
        "q_proj",
        "v_proj",
        "down_proj",
    }
    half = everything.trainable_params // 2
    fewer = lorascope.plan(reference, scores=str(file), max_params=half, rank=8)
    assert fewer.trainable_params <= half
    assert "model.layers.1.mlp.down_proj" in {target.path for target in fewer.targets}
    limit = _needed(everything) - 1
    least = lorascope.plan(reference, scores=file, setup=SETUP, max_memory=limit, trade=())
    assert _needed(least) <= limit
    assert len(least.targets) < len(everything.targets)


def test_every_row_of_a_comparison_has_its_memory(reference: str) -> None:
    inventory = lorascope.inspect(reference)
    setup = TrainingSetup(**SETUP)
    told: list[tuple[int, int]] = []
    engine = api.predictor(reference)
    rows = compare(
        inventory,
        PlanRequest(),
        setup=setup,
        predict=engine.predict,
        on_try=lambda done, most: told.append((done, most)),
    )
    assert all(row.memory is not None for row in rows)
    assert told[-1][0] == told[-1][1] == len(told) <= len(rows)
    by_name = {row.preset: row for row in rows}
    limit = _needed(by_name["qv"])
    most = by_name["attention"].trainable_params
    held = compare(
        inventory,
        PlanRequest(),
        budget=Budget(limit, most),
        setup=setup,
        predict=engine.predict,
    )
    codes = {row.preset: {finding.code for finding in row.findings} for row in held}
    assert not codes["qv"] & {OVER_MEMORY, OVER_PARAMS}
    assert {OVER_MEMORY, OVER_PARAMS} <= codes["all-linear"]
    assert OVER_PARAMS not in codes["attention"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_memory": "24"}, "(--max-memory): '24' has no unit; expected"),
        ({"max_memory": "24 gigabytes"}, "has the unit 'gigabytes'; expected for example 24GiB"),
        ({"max_memory": "-3GiB"}, "'-3GiB' is no amount of memory"),
        ({"max_memory": "nanGiB"}, "'nanGiB' is no amount of memory"),
        ({"max_memory": 0}, "max_memory (--max-memory) is 0"),
        ({"max_memory": float("nan")}, "max_memory (--max-memory) is nan"),
        ({"max_memory": "1GiB", "trade": ("sequence",)}, "trade (--trade) holds 'sequence'"),
        ({"trade": ("rank",)}, "--trade is given without --max-memory"),
        (
            {"setup": {"batch_size": 0}},
            "batch_size (--batch-size) is 0; expected a whole number from 1",
        ),
        ({"setup": {"batch": 3}}, "A training setup has no 'batch'; expected one of batch_size"),
        ({"setup": 5}, "setup is 5; expected a TrainingSetup or a mapping of its fields"),
        ({"setup": [("batch_size", 1)]}, "setup is [('batch_size', 1)]; expected a TrainingSetup"),
        ({"setup": {None: 1}}, "A training setup has no None; expected one of batch_size"),
        ({"setup": {"gradient_checkpointing": "no"}}, "is 'no'; expected a bool: True or False"),
        ({"setup": {"gradient_checkpointing": None}}, "is None; expected a bool"),
        ({"setup": {"batch_size": 10**5000}}, "is a number of over 300 digits; expected a whole"),
        ({"setup": {"dtype": ["bf16"]}}, "dtype (--dtype) is ['bf16']; expected one of bf16"),
        ({"max_memory": "1GiB", "trade": 5}, "trade (--trade) is 5; expected a list"),
        ({"max_memory": "1GiB", "trade": "rank,seq"}, "trade (--trade) holds 'seq'; expected"),
        ({"scores": 5}, "scores is no object of names and numbers"),
        ({"scores": [1]}, "scores is no object of names and numbers"),
        ({"scores": b"x"}, "scores is no object of names and numbers"),
        ({"scores": {"q": float("nan")}}, "scores: the score of q is nan; expected a finite"),
        ({"scores": {}}, "scores holds 0 scores"),
        ({"scores": {"query": 1}}, "query, which is no module or role of this model"),
        ({"scores": "nowhere.json"}, "--scores: nowhere.json does not exist"),
        ({"max_memory": "1KiB", "setup": SETUP}, "The base weights alone take "),
    ],
)
def test_bad_input_is_told(reference: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(PlanError) as caught:
        lorascope.plan(reference, **options)
    assert told in str(caught.value)


def test_one_word_is_a_list_of_trades(reference: str) -> None:
    by_word = lorascope.plan(reference, max_memory="1GiB", trade="batch", setup=SETUP)
    assert by_word == lorascope.plan(reference, max_memory="1GiB", trade=["batch"], setup=SETUP)


@pytest.mark.parametrize("plan", [5, None, "qv", {"r": 8}])
def test_only_plans_are_predicted(reference: str, plan: Any) -> None:
    with pytest.raises(PlanError, match="expected what lorascope.plan returns"):
        lorascope.predict_memory(reference, plan, SETUP)


def test_a_plan_of_another_model_is_refused(reference: str) -> None:
    gpt2 = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=64))
    narrow = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            vocab_size=64,
        )
    )
    for other in (gpt2, narrow):
        with pytest.raises(MemoryPredictionError, match="This plan is for another model"):
            lorascope.predict_memory(reference, lorascope.plan(other), SETUP)


def test_an_inventory_alone_predicts_nothing(reference: str) -> None:
    inventory = lorascope.inspect(reference)
    with pytest.raises(PlanError, match="cannot be predicted from an inventory"):
        lorascope.plan(inventory, max_memory="1GiB")
    with pytest.raises(PlanError, match="needs the model itself"):
        api.fit(inventory, PlanRequest(), budget=Budget(10**9))


def test_memory_without_peft_names_the_command_that_installs_it(
    reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "peft" else find_spec(name)
    )
    with pytest.raises(MissingDependencyError, match="needs peft, not installed") as caught:
        lorascope.plan(reference, setup=SETUP)
    assert "lorascope[torch]" in (caught.value.hint or "")


def test_a_model_known_by_its_headers_alone_has_a_plan_without_memory(tmp_path: Path) -> None:
    model = LlamaForCausalLM(LlamaConfig(**{k: v for k, v in SIZES.items() if k != "model_type"}))
    save_file(dict(model.state_dict()), tmp_path / "model.safetensors")
    config = {"model_type": "novel", "architectures": ["NovelForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert lorascope.plan(tmp_path).targets
    with pytest.raises(UnknownModelTypeError, match="running the model's class") as caught:
        lorascope.plan(tmp_path, setup=SETUP)
    assert "A plan without memory needs no class" in (caught.value.hint or "")


def test_what_is_no_model_is_told() -> None:
    with pytest.raises(ModelReferenceError, match="cannot be read from int"):
        lorascope.predict_memory(3, None, SETUP)  # type: ignore[arg-type]


def test_a_step_that_fails_is_told() -> None:
    class Failing(LlamaForCausalLM):
        def forward(self, input_ids: Any = None, labels: Any = None, **more: Any) -> Any:
            raise ValueError("no forward here")

    with pytest.raises(MemoryPredictionError, match="no forward here"):
        lorascope.plan(Failing(LlamaConfig(**SIZES)), setup=SETUP)


@pytest.fixture
def with_table(tmp_path: Path) -> str:
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 32, "n_positions": 24}
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], **sizes})
    )
    return str(path)


def test_the_default_length_is_as_many_as_there_are_positions(with_table: str) -> None:
    plan = lorascope.plan(with_table, setup={})
    assert plan.memory is not None
    assert plan.memory.setup.seq_len == 24
    assert lorascope.predict_memory(with_table, plan) == plan.memory
    known, engine = lorascope.inspect(with_table), api.predictor(with_table)
    setup = api.fit(known, PlanRequest(), engine).setup
    assert setup is not None
    assert setup.seq_len == 24


def test_a_length_beyond_the_positions_is_refused(with_table: str) -> None:
    plan = lorascope.plan(with_table)
    for setup in ({"seq_len": 25}, TrainingSetup(seq_len=25), TrainingSetup()):
        for ask in (
            lambda s: lorascope.plan(with_table, setup=s),
            lambda s: lorascope.predict_memory(with_table, plan, s),
        ):
            with pytest.raises(PlanError, match="this model has 24 positions"):
                ask(setup)


def test_rotary_models_run_beyond_their_positions_and_a_note_says_so(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**SIZES, "max_position_embeddings": 24}))
    within = lorascope.plan(str(path), setup={}).memory
    beyond = lorascope.plan(str(path), setup={**SETUP, "seq_len": 25}).memory
    assert within is not None
    assert beyond is not None
    assert within.setup.seq_len == 24
    assert not [note for note in within.notes if "was made for" in note]
    assert "25 tokens are beyond the 24 positions the model was made for" in beyond.notes[-1]
