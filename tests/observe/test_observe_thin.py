"""Blocks that hand on what they are given."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lorascope.observe.thin import HandOn, NotUnderstoodError, Remembered, thinned


class Block(nn.Module):
    def __init__(self, kind: str, is_tuple: bool) -> None:
        super().__init__()
        self.kind = kind
        self.linear = nn.Linear(4, 4)
        self.is_tuple = is_tuple

    def forward(self, hidden_states: torch.Tensor) -> object:
        made = self.linear(hidden_states)
        return (made, "beside") if self.is_tuple else made


class Stack(nn.Module):
    def __init__(self, is_tuple: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(str(i), is_tuple) for i in range(4))

    def forward(self, hidden: torch.Tensor) -> list[object]:
        outputs: list[object] = []
        for layer in self.layers:
            output = layer(hidden)
            outputs.append(output)
            hidden = output[0] if isinstance(output, tuple) else output
        return outputs


@pytest.mark.parametrize("is_tuple", [True, False])
def test_it_returns_what_the_block_before_returned(is_tuple: bool) -> None:
    model = Stack(is_tuple)
    twin = thinned(model, [("layers.0", ("layers.1", "layers.2"))])
    outputs = twin(torch.empty((2, 4), device="meta"))
    if is_tuple:
        assert all(output[1] == "beside" for output in outputs)
        outputs = [output[0] for output in outputs]
    assert outputs[0] is outputs[1] is outputs[2]
    assert outputs[3] is not outputs[2]


def test_the_model_stays_and_nothing_of_the_blocks_left_out_is_copied() -> None:
    model = Stack(is_tuple=False)
    twin = thinned(model, [("layers.0", ("layers.1", "layers.2"))])
    assert [type(layer) for layer in model.layers] == [Block] * 4
    assert [type(layer) for layer in twin.layers] == [Block, HandOn, HandOn, Block]
    assert len(list(twin.parameters())) == 4
    assert twin.layers[1].kind == "1"
    shared = {id(p) for p in model.parameters()} & {id(p) for p in twin.parameters()}
    assert not shared


def test_a_block_that_changes_the_shape_is_not_understood() -> None:
    memory = Remembered()
    with pytest.raises(NotUnderstoodError, match="returns something else"):
        memory.note(nn.Identity(), (torch.empty(2, 4),), {}, torch.empty(2, 5))


def test_a_block_without_a_hidden_state_is_not_understood() -> None:
    block = HandOn(Block("0", is_tuple=False), Remembered(), is_last=True)
    with pytest.raises(NotUnderstoodError, match="not given its hidden state"):
        block(position=1)
