"""Names that lie: what the forward pass shows decides in a class of one's own, and that is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

import lorascope
from builders import llama
from lorascope.core.observation import Call, Observed
from lorascope.core.roles import Evidence, Role
from lorascope.planning import PlanRequest, make_plan


class _Attention(nn.Module):
    """The output projection is called `q_proj`, the one for the query `k_proj`."""

    def __init__(self) -> None:
        super().__init__()
        self.k_proj, self.o_proj = nn.Linear(16, 16), nn.Linear(16, 16)
        self.v_proj, self.q_proj = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layers = (self.k_proj, self.o_proj, self.v_proj)
        heads = [layer(x).unflatten(-1, (4, 4)).transpose(1, 2) for layer in layers]
        out = functional.scaled_dot_product_attention(*heads, is_causal=True)
        return self.q_proj(out.transpose(1, 2).flatten(-2))


class _Liar(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(32, 16)
        self.layers = nn.ModuleList(_Attention() for _ in range(2))
        self.lm_head = nn.Linear(16, 32)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.embed_tokens(input_ids)
        for layer in self.layers:
            x = x + layer(x)
        return self.lm_head(x)


def test_a_plan_adapts_what_the_modules_do_and_not_what_they_are_called() -> None:
    inventory = lorascope.inspect(_Liar(), observe=True)
    out = inventory.by_path["layers.0.q_proj"]
    assert (out.role, out.evidence) == (Role.ATTENTION_O, Evidence.OBSERVED)
    assert out.named_role is Role.ATTENTION_Q
    plan = lorascope.plan(inventory, "qv")
    assert {target.path.rpartition(".")[2] for target in plan.targets} == {"k_proj", "v_proj"}
    codes = {finding.code for finding in plan.findings}
    assert codes == {"role_disagrees"}
    assert any("says attention.q" in finding.message for finding in plan.findings)
    assert all("says attention.v" not in finding.message for finding in plan.findings)


@pytest.mark.parametrize(("flow", "count"), [(Role.ATTENTION_O, 1), (Role.ATTENTION_Q, 0)])
def test_a_name_that_is_kept_against_the_pass_is_no_secret(flow: Role, count: int) -> None:
    inventory = llama(1)
    modules = tuple(
        replace(module, observed=Observed(Call.CALLED, flow)) if module.name == "q_proj" else module
        for module in inventory.modules
    )
    plan = make_plan(replace(inventory, modules=modules), PlanRequest(preset="qv"))
    assert len(plan.findings) == count
    assert all("the plan takes attention.q" in finding.message for finding in plan.findings)
