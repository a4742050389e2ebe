"""Transformers whose module names say nothing, or lie, written with plain products."""

from __future__ import annotations

import torch
from torch import nn


class Z9(nn.Module):
    """Attention: `k_proj` is the query, `o_proj` the key, `w` the value, `gate` the output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.k_proj = nn.Linear(width, width)
        self.o_proj = nn.Linear(width, width)
        self.w = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        scores = self.k_proj(hidden) @ self.o_proj(hidden).transpose(-1, -2)
        scores = scores / hidden.shape[-1] ** 0.5
        return self.gate(torch.softmax(scores, dim=-1) @ self.w(hidden))


class Plain(nn.Module):
    """Feed-forward of two layers: `q_proj` goes up, `gate_proj` down."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(width, 2 * width)
        self.gate_proj = nn.Linear(2 * width, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.gate_proj(torch.relu(self.q_proj(hidden)).square())


class Gated(nn.Module):
    """Feed-forward of three layers: `up_proj` is the gate, `v` goes up, `k_proj` down."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.k_proj = nn.Linear(2 * width, width)
        self.v = nn.Linear(width, 2 * width)
        self.up_proj = nn.Linear(width, 2 * width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        gate = self.up_proj(hidden)
        return self.k_proj(self.v(hidden) * (gate * torch.sigmoid(1.702 * gate)))


class Fused(nn.Module):
    """Feed-forward with one layer for gate and up, `o`; `router` goes down."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.router = nn.Linear(2 * width, width)
        self.o = nn.Linear(width, 4 * width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        gate, up = self.o(hidden).chunk(2, dim=-1)
        return self.router(nn.functional.silu(gate) * up)


class Routed(nn.Module):
    """Stacked experts `a` and `b`, the router `down`, and a shared expert `q` weighed by `v`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_experts = 4
        self.down = nn.Linear(width, self.num_experts)
        self.q = Gated(width)
        self.v = nn.Linear(width, 1)
        self.a = nn.Parameter(torch.zeros(self.num_experts, width, 4 * width))
        self.b = nn.Parameter(torch.zeros(self.num_experts, 2 * width, width))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        weights, chosen = torch.softmax(self.down(hidden), dim=-1).topk(2)
        gate, up = torch.einsum("bsd,bskdf->bskf", hidden, self.a[chosen]).chunk(2, dim=-1)
        made = torch.einsum("bskf,bskfd->bskd", torch.nn.functional.gelu(gate) * up, self.b[chosen])
        shared = torch.sigmoid(self.v(hidden)) * self.q(hidden)
        return (made * weights.unsqueeze(-1)).sum(dim=2) + shared


class Y8(nn.Module):
    """A block: attention, then one of the feed-forwards above."""

    def __init__(self, width: int, inner: type[nn.Module]) -> None:
        super().__init__()
        self.xx = Z9(width)
        self.yy = inner(width)
        self.n = nn.LayerNorm(width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden + self.xx(self.n(hidden))
        return hidden + self.yy(self.n(hidden))


class Scrambled(nn.Module):
    """One block of each kind between an embedding and a head."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.q_proj = nn.Embedding(32, width)
        self.stuff = nn.ModuleList(Y8(width, inner) for inner in (Plain, Gated, Fused, Routed))
        self.v_proj = nn.Linear(width, 32)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.q_proj(input_ids)
        for block in self.stuff:
            hidden = block(hidden)
        return self.v_proj(hidden)


class Raises(nn.Module):
    """A model whose forward pass never ends well."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        raise ValueError("no such day")


class RaisesHalfway(nn.Module):
    """A model whose first layer runs and whose second does not, though its weight is read."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 4)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.first(self.embedding(input_ids)) @ self.second.weight
        raise ValueError(f"no such shape as {tuple(hidden.shape)}")
