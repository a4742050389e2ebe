"""What no forward pass on this machine shows: ways not taken, and what is not affine."""

from __future__ import annotations

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from lorascope.core.observation import Call, Observation, Observed
from lorascope.core.roles import Role
from lorascope.observe import observe
from lorascope.observe.inspected import inspect_module
from lorascope.observe.judged import judged

_CALLED = Observed(Call.CALLED, Role.FFN_UP, input_group=1, input_kept=False)


class Squared(nn.Linear):
    """A subclass of a linear that is no linear."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return super().forward(hidden) ** 2


class Fused(nn.Module):
    """Reads the weights of `out` and `norm` on a way that no CPU takes."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(4, 4)
        self.odd = Squared(4, 4)
        self.out = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = self.odd(self.up(hidden))
        if hidden.is_cuda:
            return hidden @ self.out.weight * self.norm.weight
        return self.norm(self.out(hidden))


def test_what_the_pass_showed_is_completed() -> None:
    seen = judged(Fused(), Observation({"up": _CALLED, "odd": _CALLED, "out": _CALLED})).modules
    assert {path: (each.call, each.affine) for path, each in seen.items()} == {
        "up": (Call.CALLED, True),
        "odd": (Call.CALLED, False),
        "out": (Call.READ_DIRECTLY, True),
    }
    assert {(each.role, each.input_group, each.input_kept) for each in seen.values()} == {
        (Role.FFN_UP, 1, False)
    }


def test_without_a_pass_only_what_speaks_against_a_module_is_said() -> None:
    found = judged(Fused(), Observation(reason="its forward fails"))
    assert {path: (each.call, each.affine) for path, each in found.modules.items()} == {
        "odd": (Call.NOT_REACHED, False),
        "out": (Call.READ_DIRECTLY, True),
    }
    assert found.reason == "its forward fails"


def test_an_inventory_has_the_hazards_of_both() -> None:
    inventory = inspect_module(Fused(), wanted=True)
    hazards = {path: inventory.by_path[path].hazards for path in ("up", "odd", "out")}
    assert hazards == {"up": (), "odd": ("not_affine",), "out": ("forward_never_called",)}
    assert inventory.by_path["norm"].observed is None


def test_a_peft_model_is_judged_by_the_names_of_its_base() -> None:
    wrapped = get_peft_model(Fused(), LoraConfig(target_modules=["up", "odd"]))
    seen = judged(wrapped, Observation({"up": _CALLED, "odd": _CALLED})).modules
    assert {path: (each.call, each.affine) for path, each in seen.items()} == {
        "up": (Call.CALLED, True),
        "odd": (Call.CALLED, False),
        "out": (Call.READ_DIRECTLY, True),
    }


def test_what_a_fused_kernel_reads_is_found_where_the_pass_calls_it() -> None:
    config = AutoConfig.for_model(
        "bamba",
        hidden_size=32,
        num_hidden_layers=2,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=64,
        attn_layer_indices=[1],
        mamba_n_heads=8,
        mamba_d_head=8,
        mamba_d_state=8,
    )
    model = AutoModelForCausalLM.from_config(config)
    path = "model.layers.0.mamba.out_proj"
    shown = observe(model)
    assert judged(model, shown).modules[path].call is Call.READ_DIRECTLY
    assert shown.modules[path].input_group == judged(model, shown).modules[path].input_group
