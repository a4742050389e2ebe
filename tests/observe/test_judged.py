"""What no forward pass on this machine shows: ways not taken, and what is not affine."""

from __future__ import annotations

import pytest
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
        "out": (Call.READ_ON_SOME_WAYS, True),
    }
    assert {(each.role, each.input_group, each.input_kept) for each in seen.values()} == {
        (Role.FFN_UP, 1, False)
    }


def test_without_a_pass_only_what_speaks_against_a_module_is_said() -> None:
    found = judged(Fused(), Observation(reason="its forward fails"))
    assert {path: (each.call, each.affine) for path, each in found.modules.items()} == {
        "odd": (Call.NOT_REACHED, False),
        "out": (Call.READ_ON_SOME_WAYS, True),
    }
    assert found.reason == "its forward fails"


class Handed(nn.Module):
    """Never calls `out`, whichever way is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 4)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ self.out.weight if hidden.is_cuda else self.out.weight @ hidden


@pytest.mark.parametrize(
    ("model", "shown", "call"),
    [
        (Handed(), Call.NOT_REACHED, Call.READ_DIRECTLY),
        (Handed(), Call.READ_DIRECTLY, Call.READ_DIRECTLY),
        (Handed(), Call.CALLED, Call.READ_ON_SOME_WAYS),
        (Fused(), Call.NOT_REACHED, Call.READ_ON_SOME_WAYS),
        (Fused(), Call.CALLED, Call.READ_ON_SOME_WAYS),
        (Fused(), Call.READ_DIRECTLY, Call.READ_DIRECTLY),
    ],
)
def test_the_pass_and_the_source_together(model: nn.Module, shown: Call, call: Call) -> None:
    seen = judged(model, Observation({"out": Observed(shown)}))
    assert seen.modules["out"].call is call


def test_pytorchs_encoder_layer_loses_no_feed_forward() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return self.layer(hidden)

    found = inspect_module(Encoder(), wanted=None).by_path
    assert found["layer.linear1"].hazards == found["layer.linear2"].hazards == ()
    assert found["layer.self_attn.out_proj"].hazards == ("forward_never_called",)


def test_an_inventory_has_the_hazards_of_both() -> None:
    inventory = inspect_module(Fused(), wanted=True)
    hazards = {path: inventory.by_path[path].hazards for path in ("up", "odd", "out")}
    assert hazards == {"up": (), "odd": ("not_affine",), "out": ("forward_bypassed_by_kernel",)}
    assert inventory.by_path["norm"].observed is None


def test_a_peft_model_is_judged_by_the_names_of_its_base() -> None:
    wrapped = get_peft_model(Fused(), LoraConfig(target_modules=["up", "odd"]))
    seen = judged(wrapped, Observation({"up": _CALLED, "odd": _CALLED})).modules
    assert {path: (each.call, each.affine) for path, each in seen.items()} == {
        "up": (Call.CALLED, True),
        "odd": (Call.CALLED, False),
        "out": (Call.READ_ON_SOME_WAYS, True),
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
    assert judged(model, shown).modules[path].call is Call.READ_ON_SOME_WAYS
    assert shown.modules[path].input_group == judged(model, shown).modules[path].input_group
