"""A transformer whose module names say nothing, written with plain products."""

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


class Y8(nn.Module):
    """A block: attention, then a feed-forward with another product of activations."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.xx = Z9(width)
        self.yy = nn.Linear(width, width)
        self.zz = nn.Linear(width, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden + self.xx(hidden)
        return hidden + self.zz(torch.relu(self.yy(hidden)))


class Scrambled(nn.Module):
    """Two blocks between an embedding and a head."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.q_proj = nn.Embedding(32, width)
        self.stuff = nn.ModuleList([Y8(width), Y8(width)])
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
