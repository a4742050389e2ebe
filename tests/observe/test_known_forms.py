"""Results on the meta device that are made from their form instead of being worked out again."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lorascope.observe.known_forms import KnownForms
from lorascope.observe.known_values import known_values

ATEN = torch.ops.aten


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (ATEN.mm.default, (meta(2, 3), meta(3, 4))),
        (ATEN.add.Tensor, (meta(2, 3), meta(3))),
        (ATEN.mul.Tensor, (meta(3, 2).t(), meta(2, 3))),
        (ATEN.cat.default, ([meta(2, 3), meta(1, 3)],)),
        (ATEN.native_layer_norm.default, (meta(2, 3), [3], meta(3), meta(3), 1e-5)),
    ],
)
def test_a_second_answer_is_as_the_first_and_shares_nothing(func: Any, args: Any) -> None:
    forms = KnownForms()
    plain, first, second = (
        each if isinstance(each, tuple) else (each,)
        for each in (func(*args), forms.run(func, args, {}), forms.run(func, args, {}))
    )
    for expected, one, other in zip(plain, first, second, strict=True):
        for each in (one, other):
            assert (each.shape, each.stride(), each.dtype) == (
                expected.shape,
                expected.stride(),
                expected.dtype,
            )
        assert one.untyped_storage()._cdata != other.untyped_storage()._cdata


def test_arguments_that_are_equal_but_of_another_type_are_told_apart() -> None:
    forms = KnownForms()
    whole = meta(2, dtype=torch.int64)
    dtypes = [forms.run(ATEN.add.Scalar, (whole, value), {}).dtype for value in (1, 1.0, 1)]
    assert dtypes == [torch.int64, torch.float32, torch.int64]


def test_what_writes_or_shows_its_argument_still_does() -> None:
    forms = KnownForms()
    value = meta(2, 3)
    for _ in range(2):
        assert forms.run(ATEN.add_.Tensor, (value, value), {}) is value
        for func, args in ((ATEN.t.default, ()), (ATEN._unsafe_view.default, ([6],))):
            shown = forms.run(func, (value, *args), {})
            assert shown.untyped_storage()._cdata == value.untyped_storage()._cdata


def test_a_mode_around_it_gives_no_values() -> None:
    """One of lorascope's modes makes fresh meta tensors known; what was worked out is not."""
    given = (meta(2), meta(2))
    with known_values():
        forms = KnownForms()
        first, second = (forms.run(ATEN.add.Tensor, given, {}) for _ in range(2))
    assert first.is_meta
    assert second.is_meta
