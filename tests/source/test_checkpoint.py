from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkpoint_files import gguf_bytes

import lorascope
from lorascope.core.errors import ModelConfigError, ModelReferenceError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Kind
from lorascope.core.stored import StoredTensor
from lorascope.source import resolve
from lorascope.source.checkpoint import inventory_from_tensors
from lorascope.source.model_source import ModelSource
from lorascope.source.tensor_kinds import expert_features

Tensor = tuple[str, tuple[int, ...]] | tuple[str, tuple[int, ...], str]


def _read(*tensors: Tensor, config: dict[str, Any] | None = None) -> Inventory:
    headers = tuple(StoredTensor(t[0], t[1], t[2] if len(t) == 3 else "BF16") for t in tensors)
    model_type = (config or {}).get("model_type")
    return inventory_from_tensors(
        ModelSource("ref", "directory", config, model_type, tensor_reader=lambda: headers)
    )


def _only(name: str, *shapes: tuple[str, tuple[int, ...], str], **config: Any) -> Module:
    """The module `name` with tensors of (name, shape, dtype)."""
    tensors = [(f"{name}.{parameter}", shape, dtype) for parameter, shape, dtype in shapes]
    return _read(*tensors, config=config).by_path[name]


def test_every_module_in_model_order_with_totals() -> None:
    inventory = _read(
        ("lm_head.weight", (100, 8)),
        ("model.embed_tokens.weight", (100, 8)),
        ("model.layers.10.mlp.up_proj.weight", (16, 8)),
        ("model.layers.2.mlp.up_proj.bias", (16,)),
        ("model.layers.2.mlp.up_proj.weight", (16, 8)),
        ("model.norm.weight", (8,)),
    )
    assert [module.path for module in inventory.modules] == [
        "",
        "lm_head",
        "model",
        "model.embed_tokens",
        "model.layers",
        "model.layers.2",
        "model.layers.2.mlp",
        "model.layers.2.mlp.up_proj",
        "model.layers.10",
        "model.layers.10.mlp",
        "model.layers.10.mlp.up_proj",
        "model.norm",
    ]
    by_path = inventory.by_path
    assert by_path["model.layers.2"].total_params == 16 * 8 + 16
    assert inventory.model.total_params == 2 * 800 + 2 * 128 + 16 + 8
    assert sum(module.params for module in inventory.modules) == inventory.model.total_params
    assert all(module.kind_inferred for module in inventory.modules)
    assert inventory.built_with.method == "checkpoint"
    assert inventory.built_with.torch is None
    assert "kinds are inferred" in inventory.model.notes[0]


@pytest.mark.parametrize(
    ("path", "shape", "kind", "features"),
    [
        ("a.q_proj", (16, 8), Kind.LINEAR, (8, 16)),
        ("a.embed_tokens", (100, 8), Kind.EMBEDDING, (100, 8)),
        ("a.wpe", (100, 8), Kind.EMBEDDING, (100, 8)),
        ("a.word_embeddings", (100, 8), Kind.EMBEDDING, (100, 8)),
        ("token_embd", (100, 8), Kind.EMBEDDING, (100, 8)),
        ("embed_out", (100, 8), Kind.LINEAR, (8, 100)),
        ("a.unembed", (100, 8), Kind.LINEAR, (8, 100)),
        ("a.patch_embed_proj", (100, 8), Kind.LINEAR, (8, 100)),
        ("a.norm", (8,), Kind.CONTAINER, (None, None)),
        ("a.conv", (16, 8, 3), Kind.CONVOLUTION, (8, 16)),
        ("a.patch", (16, 3, 14, 14), Kind.CONVOLUTION, (3, 16)),
        ("a.conv1d", (16, 1, 4), Kind.CONVOLUTION, (16, 16)),
    ],
)
def test_a_kind_from_name_and_shape(
    path: str, shape: tuple[int, ...], kind: Kind, features: tuple[int | None, int | None]
) -> None:
    module = _only(path, ("weight", shape, "BF16"))
    assert module.kind is kind
    assert (module.in_features, module.out_features) == features
    if kind is Kind.CONVOLUTION:
        assert module.kernel == shape[2:]
        assert module.groups == (16 if shape[1] == 1 else 1)


def test_gpt2_projections_are_conv1d() -> None:
    module = _only("h.0.attn.c_attn", ("weight", (8, 24), "F32"), model_type="gpt2")
    assert (module.kind, module.in_features, module.out_features) == (Kind.CONV1D, 8, 24)
    other = _only("h.0.attn.c_attn", ("weight", (24, 8), "F32"), model_type="gpt_bigcode")
    assert (other.kind, other.in_features, other.out_features) == (Kind.LINEAR, 8, 24)


def test_multihead_attention() -> None:
    inventory = _read(("attn.in_proj_weight", (24, 8)), ("attn.out_proj.weight", (8, 8)))
    module = inventory.by_path["attn"]
    assert (module.kind, module.in_features, module.out_features) == (
        Kind.MULTIHEAD_ATTENTION,
        8,
        24,
    )


@pytest.mark.parametrize(
    ("name", "shape", "features", "transposed"),
    [
        ("gate_up_proj", (4, 32, 8), (8, 32), False),
        ("down_proj", (4, 8, 16), (16, 8), False),
        ("gate_up_proj", (4, 8, 32), (8, 32), True),
        ("down_proj", (4, 16, 8), (16, 8), True),
        ("gate_up_proj", (4, 8, 8), (8, 8), False),
    ],
)
def test_stacks_of_experts(
    name: str, shape: tuple[int, ...], features: tuple[int, int], transposed: bool
) -> None:
    path = "model.layers.0.mlp.experts"
    inventory = _read((f"{path}.{name}", shape), config={"hidden_size": 8})
    holder, stack = inventory.modules[-2:]
    assert (holder.path, holder.kind, holder.transposed) == (path, Kind.CONTAINER, transposed)
    assert (stack.path, stack.kind, stack.cls) == (
        f"{path}.{name}",
        Kind.EXPERT_PARAMETER,
        "Parameter",
    )
    assert (stack.in_features, stack.out_features) == features
    assert stack.experts == 4
    assert stack.lora_params_per_rank == 4 * sum(features)
    assert inventory.model.total_params == stack.total_params


@pytest.mark.parametrize(
    ("tensors", "settings", "features"),
    [
        ([("qweight", (8, 64), "I32")], {"quant_method": "gptq", "bits": 4}, (64, 64)),
        ([("qweight", (64, 8), "I32")], {"quant_method": "awq", "bits": 4}, (64, 64)),
        ([("weight", (64, 32), "F8_E4M3"), ("weight_scale_inv", (1, 1), "F32")], {}, (32, 64)),
    ],
)
def test_quantized_weights_whose_sizes_show(
    tensors: list[tuple[str, tuple[int, ...], str]],
    settings: dict[str, Any],
    features: tuple[int, int],
) -> None:
    module = _only("a.q_proj", *tensors, quantization_config=settings)
    assert module.kind is Kind.LINEAR
    assert (module.in_features, module.out_features) == features


@pytest.mark.parametrize(
    "tensors",
    [
        [("qweight", (8, 64), "I32")],
        [("weight", (2048, 1), "U8"), ("weight.absmax", (64,), "U8")],
        [("weight", (64, 4), "U8")],
        [("weight_packed", (64, 4), "I32"), ("weight_shape", (2,), "I64")],
        [("gate_up_proj_blocks", (4, 64, 2, 16), "U8"), ("gate_up_proj_scales", (4, 64, 2), "U8")],
    ],
)
def test_quantized_weights_whose_sizes_do_not_show_are_not_guessed(
    tensors: list[tuple[str, tuple[int, ...], str]],
) -> None:
    inventory = _read(*((f"mlp.experts.{n}", shape, dtype) for n, shape, dtype in tensors))
    module = inventory.by_path["mlp.experts"]
    assert module.kind is Kind.NOT_ADAPTABLE
    assert module.in_features is None
    assert module.hazards == ("unsupported_class",)
    assert len(inventory.modules) == 3
    assert "1 modules are stored quantized" in inventory.model.notes[1]


def test_the_config_gives_what_tensors_do_not() -> None:
    tensors: list[Tensor] = [
        ("model.embed_tokens.weight", (100, 8)),
        ("model.layers.0.mlp.experts.0.up_proj.weight", (4, 8)),
        ("lm_head.weight", (100, 8)),
    ]
    config = {
        "model_type": "custom",
        "architectures": ["CustomForCausalLM"],
        "num_attention_heads": 4,
        "num_local_experts": 2,
        "torch_dtype": "bfloat16",
        "tie_word_embeddings": False,
    }
    model = _read(*tensors, config=config).model
    assert (model.cls, model.task_type, model.model_type) == (
        "CustomForCausalLM",
        "CAUSAL_LM",
        "custom",
    )
    assert (model.hidden_size, model.vocab_size, model.num_hidden_layers) == (8, 100, 1)
    assert (model.num_attention_heads, model.num_experts, model.dtype) == (4, 2, "bfloat16")
    assert (model.input_embedding, model.output_embedding) == ("model.embed_tokens", "lm_head")
    assert any("experts one by one" in note for note in model.notes)
    tied = _read(*tensors[:2], config={"tie_word_embeddings": True}).model
    assert any("tied to the embedding and not stored" in note for note in tied.notes)
    without = _read(*tensors).model
    assert (without.cls, without.task_type) == ("unknown", None)


def test_a_gguf_file_in_the_words_of_transformers(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    metadata = {"general.architecture": "qwen3moe", "qwen3moe.embedding_length": 8}
    tensors = [
        ("token_embd.weight", (100, 8)),
        ("blk.0.attn_q.weight", (16, 8)),
        ("blk.0.ffn_gate_inp.weight", (4, 8)),
        ("blk.0.ffn_gate_exps.weight", (4, 6, 8)),
        ("output_norm.weight", (8,)),
    ]
    path.write_bytes(gguf_bytes(metadata, tensors))
    inventory = inventory_from_tensors(resolve(str(path)))
    assert inventory.by_path["model.layers.0.self_attn.q_proj"].out_features == 16
    experts = inventory.by_path["blk.0.ffn_gate_exps.weight"]
    assert (experts.kind, experts.in_features, experts.out_features) == (
        Kind.EXPERT_PARAMETER,
        8,
        6,
    )
    assert any("1 tensors keep GGUF's names" in note for note in inventory.model.notes)


def test_each_note_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_bytes({"general.architecture": "nova9"}, [("blk.0.q.weight", (8, 8))]))
    notes = lorascope.inspect(path, cache=False).model.notes
    assert any("nova9 has no known class" in note for note in notes)
    assert len(set(notes)) == len(notes)


def test_no_checkpoint_and_an_absurd_one() -> None:
    with pytest.raises(ModelReferenceError, match="has no safetensors or GGUF checkpoint"):
        inventory_from_tensors(resolve("llama"))
    with pytest.raises(ModelConfigError, match="nested too deeply"):
        _read(("a." * 100 + "weight", (1,)))


EXACT = [
    ("llama", {"num_key_value_heads": 2}),
    ("gpt2", {"n_layer": 2, "n_embd": 64, "n_head": 4, "vocab_size": 100, "n_positions": 32}),
    ("mamba", {}),
    ("vit", {}),
    ("qwen3_moe", {"num_experts": 4, "moe_intermediate_size": 16, "num_key_value_heads": 2}),
]
SMALL = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "tie_word_embeddings": False,
}


@pytest.mark.parametrize(("model_type", "fields"), EXACT)
def test_inferred_kinds_agree_with_the_built_class(model_type: str, fields: dict[str, Any]) -> None:
    import torch
    import transformers

    from lorascope.build.walk import walk

    sizes = {"tie_word_embeddings": False} if model_type == "gpt2" else SMALL
    config = transformers.AutoConfig.for_model(model_type, **{**sizes, **fields})
    auto = transformers.AutoModel if model_type == "vit" else transformers.AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(config)
    stored = [(name, tuple(value.shape)) for name, value in model.named_parameters()]
    inferred = _read(*stored, config=config.to_dict()).by_path
    built = [module for module in walk(model, {4}) if module.kind.adaptable]
    assert built
    for module in built:
        other = inferred[module.path]
        assert other.kind is module.kind, module.path
        assert (other.in_features, other.out_features) == (
            module.in_features,
            module.out_features,
        ), module.path
        assert other.lora_params_per_rank == module.lora_params_per_rank
    known = {module.path for module in built}
    wrong = [m.path for m in inferred.values() if m.kind.adaptable and m.path not in known]
    assert all(path.endswith(".gate") for path in wrong), wrong


def test_no_heavy_library_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_bytes({"general.architecture": "qwen2"}, [("output.weight", (8, 4))]))
    script = (
        "import sys; from lorascope.source import resolve\n"
        "from lorascope.source.checkpoint import inventory_from_tensors\n"
        f"inventory_from_tensors(resolve({str(path)!r}))\n"
        "print(sorted({'torch', 'transformers', 'numpy'} & sys.modules.keys()))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "shape", "features"),
    [
        ("model.layers.0.mlp.experts.w2", (8, 64, 128), (128, 64, False)),
        ("model.layers.0.mlp.experts.w2", (8, 128, 64), (128, 64, True)),
        ("model.layers.0.mlp.experts.w1", (8, 128, 64), (64, 128, False)),
        ("model.down_layers.0.experts.gate_up_proj", (8, 64, 256), (64, 256, True)),
        ("model.layers.0.mlp.experts.down_proj", (8, 64, 64), (64, 64, False)),
        ("blk.0.ffn_down_exps.weight", (8, 64, 128), (128, 64, False)),
    ],
)
def test_which_side_of_a_stack_of_experts_goes_in(
    name: str, shape: tuple[int, ...], features: tuple[int, int, bool]
) -> None:
    assert expert_features(name, shape, hidden_size=64) == features
