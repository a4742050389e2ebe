"""The walk of a model in memory: kinds, shapes, ties, aliases, expert parameters, wrappers."""

import pytest
import torch
from peft import LoraConfig, get_peft_model, inject_adapter_in_model
from torch import nn
from transformers import GptOssConfig, GptOssForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

from lorascope.build import inventory_of
from lorascope.core.roles import Kind, Tower


def tiny_llama(**changes):
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 32,
    }
    with torch.device("meta"):
        return LlamaForCausalLM(LlamaConfig(**{**sizes, **changes}))


class ScaledLinear(nn.Module):
    """A custom linear that is no `nn.Linear`, as PEFT finds them."""

    def __init__(self):
        super().__init__()
        self.in_features, self.out_features = 3, 5
        self.weight = nn.Parameter(torch.zeros(5, 3))


@pytest.mark.parametrize(
    ("module", "kind", "shape", "per_rank"),
    [
        (nn.Linear(3, 5), Kind.LINEAR, (3, 5), 8),
        (Conv1D(5, 3), Kind.CONV1D, (3, 5), 8),
        (nn.Embedding(7, 4), Kind.EMBEDDING, (7, 4), 11),
        (nn.Conv2d(4, 6, (3, 2), groups=2), Kind.CONVOLUTION, (4, 6), 4 * 6 + 6 // 2),
        (nn.MultiheadAttention(8, 2), Kind.MULTIHEAD_ATTENTION, (8, 24), (8 + 24) + (8 + 8)),
        (nn.MultiheadAttention(8, 2, kdim=4), Kind.NOT_ADAPTABLE, (8, 24), 0),
        (ScaledLinear(), Kind.NOT_ADAPTABLE, (3, 5), 0),
        (nn.LayerNorm(4), Kind.CONTAINER, (None, None), 0),
    ],
)
def test_kind_shape_and_cost_follow_the_class(module, kind, shape, per_rank):
    found = inventory_of(nn.Sequential(module)).by_path["0"]
    assert found.kind is kind
    assert (found.in_features, found.out_features) == shape
    assert found.lora_params_per_rank == per_rank


def test_classes_that_peft_does_not_take_are_marked():
    found = inventory_of(nn.Sequential(ScaledLinear())).by_path["0"]
    assert found.hazards == ("unsupported_class",)


def test_every_subclass_of_gptqmodels_linear_is_one():
    class BaseQuantLinear(nn.Module):
        in_features, out_features = 3, 5

    class MarlinQuantLinear(BaseQuantLinear):
        pass

    found = inventory_of(nn.ModuleDict({"layer": MarlinQuantLinear()})).by_path["layer"]
    assert (found.kind, found.lora_params_per_rank) == (Kind.LINEAR, 8)


def test_order_and_names_are_those_of_named_modules():
    model = tiny_llama()
    names = [name for name, _ in model.named_modules(remove_duplicate=False)]
    assert [module.path for module in inventory_of(model).modules] == names


def test_tied_weights_count_once_and_name_their_owner():
    model = tiny_llama(tie_word_embeddings=True)
    inventory = inventory_of(model)
    assert inventory.by_path["lm_head"].tied_to == "model.embed_tokens"
    assert inventory.model.total_params == sum(p.numel() for p in model.parameters())
    assert inventory.model.tied_to_embedding == ("lm_head",)


def test_a_module_registered_twice_is_an_alias_the_second_time():
    shared = nn.Linear(2, 2)
    inventory = inventory_of(nn.ModuleDict({"first": shared, "second": shared}))
    assert inventory.by_path["first"].alias_of is None
    assert inventory.by_path["second"].alias_of == "first"
    assert [module.path for module in inventory.adaptable] == ["first"]


@pytest.mark.parametrize("transposed", [True, False])
def test_expert_parameters_follow_their_module_and_know_their_direction(transposed):
    class Experts(nn.Module):
        is_transposed = transposed

        def __init__(self):
            super().__init__()
            self.up = nn.Parameter(torch.zeros(4, 3, 5))
            self.position = nn.Parameter(torch.zeros(4, 5))

    inventory = inventory_of(nn.ModuleDict({"experts": Experts()}))
    assert [module.path for module in inventory.modules] == ["", "experts", "experts.up"]
    found = inventory.by_path["experts.up"]
    assert (found.kind, found.experts) == (Kind.EXPERT_PARAMETER, 4)
    assert (found.in_features, found.out_features) == ((3, 5) if transposed else (5, 3))
    assert found.lora_params_per_rank == 4 * (3 + 5)
    assert inventory.by_path["experts"].params == 4 * 3 * 5 + 4 * 5


def test_position_tables_are_no_experts():
    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.zeros(6, 3, 5))

    kinds = {module.kind for module in inventory_of(nn.ModuleDict({"probe": Probe()})).modules}
    assert kinds == {Kind.CONTAINER}


def test_gpt_oss_experts_are_transposed():
    config = GptOssConfig(
        hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_local_experts=4,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, vocab_size=32,
    )  # fmt: skip
    with torch.device("meta"):
        inventory = inventory_of(GptOssForCausalLM(config))
    found = inventory.by_path["model.layers.0.mlp.experts.gate_up_proj"]
    assert (found.in_features, found.out_features, found.experts) == (16, 16, 4)
    assert found.transposed


LORA = {"r": 2, "target_modules": ["q_proj", "embed_tokens"], "modules_to_save": ["lm_head"]}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: get_peft_model(model, LoraConfig(**LORA)),
        lambda model: get_peft_model(model, LoraConfig(**LORA)).base_model,
        lambda model: inject_adapter_in_model(LoraConfig(**LORA), model),
    ],
    ids=["PeftModel", "LoraModel", "injected in place"],
)
def test_a_peft_wrapped_model_gives_the_inventory_of_its_base(wrap):
    wrapped = inventory_of(wrap(tiny_llama()))
    assert wrapped == inventory_of(tiny_llama())


def test_towers_follow_the_sub_config_that_a_part_was_built_from():
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    text = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 24, "vocab_size": 64,
            "num_hidden_layers": 1, "num_attention_heads": 2}  # fmt: skip
    vision = {"model_type": "clip_vision_model", "hidden_size": 16, "intermediate_size": 24,
              "num_hidden_layers": 1, "num_attention_heads": 2}  # fmt: skip
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=vision))
    towers = {
        module.path: module.tower
        for module in inventory_of(model).modules
        if module.path.endswith("0.self_attn.q_proj")
    }
    assert sorted(towers.values()) == [Tower.TEXT, Tower.VISION]
    assert all(("vision" in path) == (tower is Tower.VISION) for path, tower in towers.items())
