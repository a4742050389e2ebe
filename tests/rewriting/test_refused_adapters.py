"""What cannot be carried over, or is no sound adapter: told in full, and nothing is written."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from trained_adapters import (
    adapt,
    assert_same,
    config_of,
    engine_deltas,
    inventory,
    pairs_of,
    peft_deltas,
    tensors_of,
    train,
    write_config,
    write_tensors,
)

import lorascope
from lorascope.core.errors import (
    AdapterError,
    LorascopeError,
    OutputError,
    SpecificationError,
)

QV = ["q_proj", "v_proj"]
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("llama", tmp_path_factory.mktemp("p") / "plain", r=4, target_modules=QV)


@pytest.fixture
def copied(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "t"))


FEATURES: dict[str, tuple[dict[str, Any], str]] = {
    "dora": ({"use_dora": True}, "DoRA"),
    "modules_to_save": ({"modules_to_save": ["lm_head"]}, r"Modules saved whole \(lm_head\)"),
    "lora_bias": ({"lora_bias": True}, "A bias in the adapter"),
    "trainable_tokens": ({"trainable_token_indices": [1, 5]}, "Trained rows of the embedding"),
}


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("engine", ["vllm", "tgi"])
def test_feature_is_refused_and_dropped_if_asked(engine: str, feature: str, tmp_path: Path) -> None:
    config, words = FEATURES[feature]
    trained = train("llama", tmp_path / "t", r=4, target_modules=QV, **config)
    with pytest.raises(AdapterError, match=f"Not all of this adapter .*{words}") as caught:
        adapt(trained, engine, "llama")
    assert f"--drop {feature}" in (caught.value.hint or "")
    assert "merge_and_unload" in (caught.value.hint or "")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
    served, done = adapt(trained, engine, "llama", drop=[feature])
    assert len(tensors_of(served)) == 16
    [change] = [change for change in done.changes if change.step.value == "dropped"]
    assert change.text.startswith(f"{feature} left out as asked, with ")
    fresh = train("llama", tmp_path / "fresh", r=4, target_modules=QV)
    assert config_of(served)["use_dora"] is config_of(fresh)["use_dora"]
    assert config_of(served)["modules_to_save"] is None


def test_all_that_is_lost_is_named_at_once(tmp_path: Path) -> None:
    config = {"use_dora": True, "modules_to_save": ["lm_head"]}
    trained = train("llama", tmp_path / "t", r=4, target_modules=QV, **config)
    with pytest.raises(AdapterError) as caught:
        adapt(trained, "vllm", "llama")
    assert "DoRA: vLLM refuses it." in caught.value.what
    assert "Modules saved whole (lm_head): vLLM refuses it." in caught.value.what
    assert "--drop dora --drop modules_to_save" in (caught.value.hint or "")


@pytest.mark.parametrize("config", [{"use_dora": True}, {"lora_bias": True}, {"bias": "all"}])
def test_peft_itself_takes_all_of_it(config: dict[str, Any], tmp_path: Path) -> None:
    trained = train(
        "gpt2",
        tmp_path / "t",
        r=4,
        target_modules=["c_attn", "c_proj"],
        rank_pattern={"c_proj": 2},
        modules_to_save=["ln_f"],
        fan_in_fan_out=True,
        **config,
    )
    served, done = adapt(trained, "peft", "gpt2")
    assert done.tensors == done.tensors_before
    before, after = tensors_of(trained), tensors_of(served)
    assert before.keys() == after.keys()
    if "use_dora" not in config:
        assert_same(peft_deltas("gpt2", served), peft_deltas("gpt2", trained))


def test_nothing_to_drop(plain: Path) -> None:
    with pytest.raises(AdapterError, match="has nothing of dora that could be dropped"):
        adapt(plain, "vllm", "llama", drop=["dora"])
    with pytest.raises(SpecificationError, match="Nothing called 'attention' can be dropped"):
        adapt(plain, "vllm", "llama", drop=["attention"])


def test_model_that_the_engine_does_not_adapt(tmp_path: Path) -> None:
    trained = train("gpt2", tmp_path / "t", r=4, target_modules=["c_attn"], fan_in_fan_out=True)
    with pytest.raises(AdapterError, match="its class for GPT2LMHeadModel takes no adapters"):
        adapt(trained, "vllm", "gpt2")


def test_names_that_the_engine_does_not_know(tmp_path: Path) -> None:
    trained = train("phi3", tmp_path / "t", r=4, target_modules=["qkv_proj", "gate_up_proj"])
    with pytest.raises(
        AdapterError, match="leaves it out without an error, since it adapts .* alone"
    ) as caught:
        adapt(trained, "tgi", "phi3")
    assert "--drop unknown_name" in (caught.value.hint or "")
    served, _ = adapt(trained, "tgi", "phi3", drop=["unknown_name"])
    assert {name.rpartition(".")[2] for name in pairs_of(served)} == {"qkv_proj"}


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_changed_base_model(init: str, copied: Path) -> None:
    write_config(copied, init_lora_weights=init)
    with pytest.raises(AdapterError, match=f"init_lora_weights is {init}, which changed the base"):
        adapt(copied, "llama.cpp", "llama")


def _without_one(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[next(name for name in tensors if "v_proj.lora_B" in name)]


def _with_another(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.model.layers.0.self_attn.o_proj.lora_A.weight"] = torch.zeros(4, 32)


def _with_other_rank(tensors: dict[str, torch.Tensor]) -> None:
    for name in list(tensors):
        if "q_proj.lora_A" in name:
            tensors[name] = torch.zeros(6, 32)


def _with_other_size(tensors: dict[str, torch.Tensor]) -> None:
    name = next(name for name in tensors if "q_proj.lora_A" in name)
    tensors[name] = torch.zeros(4, 30)


def _with_integers(tensors: dict[str, torch.Tensor]) -> None:
    name = next(name for name in tensors if "q_proj.lora_A" in name)
    tensors[name] = tensors[name].to(torch.int32)


def _without_elements(tensors: dict[str, torch.Tensor]) -> None:
    name = next(name for name in tensors if "q_proj.lora_A" in name)
    tensors[name] = torch.zeros(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_one, r"disagree in 1 place .*v_proj\.lora_B\.weight is not in the file"),
        (_with_another, r"o_proj\.lora_A\.weight is in the file and belongs to nothing"),
        (_with_other_rank, r"q_proj\.lora_A\.weight is stored as 6×32, and 4×32 is called for"),
        (_with_other_size, r"q_proj\.lora_A\.weight is stored as 4×30, and 4×32 is called for"),
        (_with_integers, r"q_proj\.lora_A\.weight is stored as I32"),
        (_without_elements, r"q_proj\.lora_A\.weight has no element"),
    ],
)
def test_tensors_that_disagree_with_the_configuration(
    change: Callable[[dict[str, torch.Tensor]], None], message: str, copied: Path
) -> None:
    tensors = tensors_of(copied)
    change(tensors)
    write_tensors(copied, tensors)
    with pytest.raises(AdapterError, match=message):
        adapt(copied, "vllm", "llama")


def test_at_most_five_disagreements_are_named(copied: Path) -> None:
    write_config(copied, r=7)
    with pytest.raises(AdapterError, match="disagree in 16 places .*; and 11 more") as caught:
        adapt(copied, "vllm", "llama")
    assert caught.value.what.count("is called for") == 5


def test_names_that_peft_takes_as_well(plain: Path, copied: Path) -> None:
    tensors = {
        name.replace("lora_A.", "lora_A.default."): tensor
        for name, tensor in tensors_of(copied).items()
    }
    write_tensors(copied, tensors)
    assert_same(peft_deltas("llama", copied), peft_deltas("llama", plain))
    served, _ = adapt(copied, "vllm", "llama")
    assert_same(engine_deltas("vllm", served), engine_deltas("vllm", plain))


def test_names_that_peft_does_not_take(copied: Path) -> None:
    tensors = tensors_of(copied)
    bare = {name.removeprefix("base_model.model."): each for name, each in tensors.items()}
    write_tensors(copied, bare)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found missing adapter keys")
        assert peft_deltas("llama", copied) == {}
    with pytest.raises(AdapterError, match=r"16 tensors .*named without base_model\.model\. at"):
        adapt(copied, "vllm", "llama")


def test_two_names_of_one_place(copied: Path) -> None:
    tensors = tensors_of(copied)
    name = next(name for name in tensors if "lora_A" in name)
    write_tensors(copied, {**tensors, name.replace("lora_A", "lora_A.default"): tensors[name] + 1})
    with pytest.raises(AdapterError, match="which PEFT loads into the same place"):
        adapt(copied, "vllm", "llama")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.embed_tokens.weight", (64, 32)),
        ("model.norm.weight", (32,)),
        ("model.layers.0.self_attn.k_proj.weight", (16, 32)),
        ("model.layers.0.self_attn.q_proj.base_layer.weight", (32, 32)),
    ],
)
@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "tgi"])
def test_weights_of_the_base_model(
    engine: str, name: str, shape: tuple[int, ...], plain: Path, copied: Path
) -> None:
    tensors = {**tensors_of(copied), f"base_model.model.{name}": torch.ones(shape)}
    write_tensors(copied, tensors)
    words = re.escape(f"A part of the base model in the adapter's file ({name})")
    with pytest.raises(AdapterError, match=words) as caught:
        adapt(copied, engine, "llama")
    assert "--drop modules_to_save" in (caught.value.hint or "")
    served, done = adapt(copied, engine, "llama", drop=["modules_to_save"])
    assert not any(name in each for each in tensors_of(served))
    assert_same(peft_deltas("llama", served), peft_deltas("llama", plain))
    assert done.changes[0].text.startswith("modules_to_save left out as asked, with 1 tensor")
    served, _ = adapt(copied, "peft", "llama")
    assert tensors_of(served).keys() == tensors.keys()


def test_weight_of_an_adapted_embedding_is_told(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting `save_embedding_layers`")
        config = {"r": 4, "target_modules": ["q_proj", "embed_tokens"]}
        trained = train("llama", tmp_path / "t", **config)
    _, done = adapt(trained, "vllm", "llama")
    assert done.notes[0].startswith("model.embed_tokens.base_layer.weight: PEFT saves the weight")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none(number: float, copied: Path) -> None:
    tensors = tensors_of(copied)
    next(each for name, each in tensors.items() if "lora_B" in name)[0, 0] = number
    write_tensors(copied, tensors)
    with pytest.raises(AdapterError, match="lora_B.weight holds NaN or infinite numbers"):
        adapt(copied, "vllm", "llama")


def test_a_type_that_is_not_given(copied: Path) -> None:
    write_config(copied, peft_type=None)
    served, done = adapt(copied, "vllm", "llama")
    assert config_of(served)["peft_type"] == "LORA"
    assert done.changes[-1].text == "peft_type, which was not given, is LORA."


@pytest.mark.parametrize("rank", [0, -1])
def test_rank_that_is_none(rank: int, copied: Path) -> None:
    write_config(copied, r=rank)
    with pytest.raises(SpecificationError, match=f"r.* {rank}"):
        adapt(copied, "vllm", "llama")


@pytest.mark.parametrize("size", [4, 100, -10])
def test_truncated_file(size: int, copied: Path) -> None:
    content = (copied / WEIGHTS).read_bytes()
    (copied / WEIGHTS).write_bytes(content[:size])
    with pytest.raises(LorascopeError, match=WEIGHTS) as caught:
        adapt(copied, "vllm", "llama")
    assert "bytes" in caught.value.what


def test_pickle_and_nothing(copied: Path) -> None:
    (copied / WEIGHTS).rename(copied / "adapter_model.bin")
    with pytest.raises(AdapterError, match="is a pickle, which can run any code"):
        adapt(copied, "vllm", "llama")
    (copied / "adapter_model.bin").unlink()
    with pytest.raises(AdapterError, match="There are no tensors beside"):
        adapt(copied, "vllm", "llama")


@pytest.mark.parametrize(
    ("engine", "message"),
    [("vllmm", "No serving engine is called 'vllmm'"), ("vllm@0.6", "'0.6' is not known; only")],
)
def test_unknown_engines_and_versions(engine: str, message: str, plain: Path) -> None:
    with pytest.raises(SpecificationError, match=message):
        lorascope.adapt(plain, engine, model=inventory("llama"))


def test_directory_that_exists(plain: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "notes.txt").write_text("mine")
    (there / WEIGHTS).write_bytes(b"old")
    with pytest.raises(OutputError, match="exists; nothing was written"):
        lorascope.adapt(plain, "vllm", there, model=inventory("llama"))
    assert (there / WEIGHTS).read_bytes() == b"old"
    lorascope.adapt(plain, "vllm", there, model=inventory("llama"), force=True)
    assert (there / "notes.txt").read_text() == "mine"
    assert_same(engine_deltas("vllm", there), engine_deltas("vllm", plain))
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(OutputError, match="is no directory"):
        lorascope.adapt(plain, "vllm", file, model=inventory("llama"), force=True)


def test_an_adapter_in_its_own_place(copied: Path) -> None:
    before = tensors_of(copied)
    with pytest.raises(OutputError, match="is the adapter itself, which is not overwritten"):
        lorascope.adapt(copied, "tgi", copied, model=inventory("llama"), force=True)
    assert tensors_of(copied).keys() == before.keys()


def _files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("fails_at", [1, 2])
def test_what_was_there_is_put_back(
    fails_at: int, plain: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real, calls = _files(copied), Path.replace, [0]

    def failing(path: Path, target: Path) -> Path:
        calls[0] += 1
        if calls[0] == fails_at:
            raise OSError(28, "No space left on device")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        lorascope.adapt(plain, "tgi", copied, model=inventory("llama"), force=True)
    assert _files(copied) == before


@pytest.mark.parametrize("name", ["adapter_config.json", WEIGHTS])
def test_a_directory_in_the_place_of_a_file(name: str, plain: Path, tmp_path: Path) -> None:
    (tmp_path / "there" / name).mkdir(parents=True)
    with pytest.raises(OutputError, match=f"{name} cannot be replaced: it is not a regular file"):
        lorascope.adapt(plain, "tgi", tmp_path / "there", model=inventory("llama"), force=True)
    assert [path.name for path in (tmp_path / "there").iterdir()] == [name]


def test_metadata_and_form_of_the_file(plain: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    served = tmp_path / "served"
    done = lorascope.adapt(plain, "vllm", served, model=inventory("llama"))
    with safe_open(str(served / WEIGHTS), framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert len(file.keys()) == done.tensors == 16
    assert sorted(path.name for path in served.iterdir()) == ["adapter_config.json", WEIGHTS]


def test_without_a_directory_nothing_is_written(plain: Path) -> None:
    before = sorted(path.name for path in plain.parent.iterdir())
    done = lorascope.adapt(plain, "vllm", model=inventory("llama"))
    assert (done.directory, done.rounding) == (None, None)
    assert done.changes == ()
    assert sorted(path.name for path in plain.parent.iterdir()) == before


def test_a_buffer_of_a_module_that_is_saved_whole(tmp_path: Path) -> None:
    config = {"r": 4, "target_modules": ["o_proj"], "modules_to_save": ["gate"]}
    trained = train("deepseek_v3", tmp_path / "t", **config)
    served, _ = adapt(trained, "peft", "deepseek_v3")
    names = tensors_of(trained).keys()
    assert tensors_of(served).keys() == names
    assert any(name.endswith("gate.e_score_correction_bias") for name in names)
    served, _ = adapt(trained, "vllm", "deepseek_v3", drop=["modules_to_save"])
    assert not any(".gate." in name for name in tensors_of(served))
