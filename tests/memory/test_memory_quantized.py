"""Stand-ins of quantized layers: bitsandbytes' layout, kept tensors, and PEFT's injection."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from lorascope.core.errors import MemoryPredictionError
from lorascope.core.training import TrainingSetup
from lorascope.memory.bnb_layers import Int8Linear, NF4Linear
from lorascope.memory.bnb_lora import LoraInt8, LoraNF4, use_quantized_lora
from lorascope.memory.quantized import prepare, quantize

NF4 = TrainingSetup(quantization="nf4")
INT8 = TrainingSetup(quantization="int8")
LLAMA = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
}


def build(model_type: str, auto: Any = AutoModelForCausalLM, **sizes: Any) -> Any:
    with torch.device("meta"):
        return auto.from_config(AutoConfig.for_model(model_type, **sizes)).to(torch.bfloat16)


def size(layer: nn.Module) -> int:
    return sum(t.nbytes for t in (*layer.parameters(), *layer.buffers()))


def real(layer: nn.Module) -> nn.Module:
    """The same module with real, empty storages on the CPU."""
    return layer.to_empty(device="cpu")


class TestLayout:
    @given(st.integers(1, 300), st.integers(1, 300))
    def test_nf4_takes_half_a_byte_and_a_scale_for_64(self, inputs: int, outputs: int) -> None:
        weights = inputs * outputs
        scales = -(-weights // 64)
        nested = -(-scales // 256)
        expected = (weights + 1) // 2 + scales + 4 * (nested + 1 + 16 + 256)
        assert size(NF4Linear(inputs, outputs, None, torch.bfloat16)) == expected

    @given(st.integers(1, 300), st.integers(1, 300))
    def test_int8_takes_a_byte_and_a_scale_a_row(self, inputs: int, outputs: int) -> None:
        layer = Int8Linear(inputs, outputs, None, on_cpu=False)
        assert size(layer) == inputs * outputs + 4 * outputs


class TestQuantize:
    def test_all_linears_but_the_output_embedding(self) -> None:
        model = build("llama", **LLAMA)
        paths = quantize(model, NF4)
        assert len(paths) == 2 * 7
        assert type(model.lm_head) is nn.Linear
        assert all(isinstance(model.get_submodule(path), NF4Linear) for path in paths)
        assert model.is_loaded_in_4bit

    def test_conv1d_becomes_a_linear(self) -> None:
        model = build("gpt2", n_embd=64, n_layer=1, n_head=4, vocab_size=128)
        quantize(model, INT8)
        layer = model.transformer.h[0].attn.c_attn
        assert isinstance(layer, Int8Linear)
        assert layer.weight.shape == (192, 64)
        assert model.is_loaded_in_8bit

    def test_what_the_class_keeps_in_float32_stays(self) -> None:
        model = build(
            "t5", AutoModelForSeq2SeqLM, d_model=64, d_kv=16, d_ff=96, num_layers=1, num_heads=4
        )
        paths = quantize(model, NF4)
        assert paths
        assert not [path for path in paths if path.endswith("wo")]

    def test_stacked_experts_stay(self) -> None:
        model = build("mixtral", num_local_experts=4, **LLAMA)
        before = size(model.model.layers[0].mlp.experts)
        quantize(model, NF4)
        assert size(model.model.layers[0].mlp.experts) == before

    def test_prepare_casts_the_rest_to_float32(self) -> None:
        model = build("llama", **LLAMA)
        quantize(model, NF4)
        prepare(model, TrainingSetup(quantization="nf4", gradient_checkpointing=True))
        assert model.model.norm.weight.dtype == torch.float32
        assert model.lm_head.weight.dtype == torch.float32
        assert model.model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
        assert model.is_gradient_checkpointing


def kept_bytes(layer: nn.Module, x: torch.Tensor) -> int:
    """What autograd holds for the layer's backward pass, hooks and attributes of nodes alike."""
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = layer(x)
    held = getattr(out.grad_fn, "x", None)
    if held is not None:
        note(held)
    return sum(kept.values())


class TestForwardAndBackward:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
    def test_nf4_keeps_no_input(self, dtype: torch.dtype) -> None:
        bias = nn.Parameter(torch.empty(48, device="meta"), requires_grad=False)
        layer = real(NF4Linear(32, 48, bias, torch.bfloat16))
        x = torch.zeros(2, 5, 32, dtype=dtype, requires_grad=True)
        out = layer(x)
        assert out.shape == (2, 5, 48)
        assert out.dtype == dtype
        assert kept_bytes(layer, x) == 0
        out.sum().backward()
        assert x.grad is not None
        assert x.grad.shape == x.shape

    @pytest.mark.parametrize("on_cpu", [True, False])
    def test_int8_keeps_its_input(self, on_cpu: bool) -> None:
        layer = real(Int8Linear(32, 48, None, on_cpu=on_cpu))
        x = torch.zeros(2, 5, 32, dtype=torch.bfloat16, requires_grad=True)
        out = layer(x)
        assert out.shape == (2, 5, 48)
        assert out.dtype == x.dtype
        assert kept_bytes(layer, x) == x.nbytes
        out.sum().backward()
        assert x.grad is not None
        assert x.grad.shape == x.shape


class TestInjection:
    @pytest.mark.parametrize(("setup", "expected"), [(NF4, LoraNF4), (INT8, LoraInt8)])
    def test_peft_takes_the_layers_and_a_step_runs(
        self, setup: TrainingSetup, expected: type
    ) -> None:
        model = build("llama", **LLAMA)
        quantize(model, setup)
        prepare(model, setup)
        config = LoraConfig(target_modules=["q_proj", "down_proj"], lora_dropout=0.1)
        use_quantized_lora(config)
        peft_model = get_peft_model(model, config)
        layer = peft_model.base_model.model.model.layers[0].self_attn.q_proj
        assert type(layer) is expected
        real(peft_model)
        ids = torch.zeros(1, 8, dtype=torch.long)
        with torch.no_grad():
            for parameter in peft_model.parameters():
                parameter.zero_()
        peft_model(input_ids=ids, labels=ids).loss.backward()
        assert layer.lora_B["default"].weight.grad is not None
        assert layer.base_layer.weight.grad is None

    def test_a_step_runs_on_fake_tensors(self) -> None:
        with FakeTensorMode(), torch.device("cpu"):
            layer = NF4Linear(32, 48, None, torch.bfloat16)
            layer.weight = nn.Parameter(torch.empty(768, 1, dtype=torch.uint8), requires_grad=False)
            for name, buffer in list(layer.named_buffers()):
                layer.register_buffer(name, torch.empty(buffer.shape, dtype=buffer.dtype))
            x = torch.empty(4, 32, requires_grad=True)
            layer(x).sum().backward()
            assert x.grad is not None

    def test_dora_is_refused(self) -> None:
        with pytest.raises(MemoryPredictionError, match="DoRA on a quantized base"):
            use_quantized_lora(LoraConfig(target_modules=["q_proj"], use_dora=True))
