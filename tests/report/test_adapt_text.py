"""The text of `lorascope adapt`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from adaptations import some_adaptation

from lorascope.report.adapt_text import adapt_text

EXPECTED = """\
adapter for vLLM (0.33.0)
  base model      owner/base
  served model    owner/wrapper
  rank and alpha  8 and 32, for all
  tensors         6 → 8 (1.00 KiB → 2.00 KiB)
  written to      served

Done
  - 2 pairs padded.
  - dora left out as asked.

Pairs of factors, before → after
modules             count   rank  scale  B times
layers.{0-1}.q          2  4 → 8  2 → 4      0.5
layers.0.up             1  8 → 8  3 → 4     0.75
layers.0.v (zeros)      1  0 → 8      4

The numbers of 1 pair are rounded once to their stored type, by at most 3e-08 of each.

Notes
  - Start vLLM with --max-lora-rank 32."""


def _text(width: int = 100, **changes: object) -> str:
    done = replace(some_adaptation(), **changes)  # type: ignore[arg-type]
    return "\n".join(line.plain for line in adapt_text(done, width))


def test_all_of_it() -> None:
    assert _text() == EXPECTED


def test_what_is_only_planned() -> None:
    planned = _text(directory=None, rounding=None)
    assert "To be done (-o DIR does it)\n  - 2 pairs padded." in planned
    assert "written to" not in planned
    assert "The numbers of 1 pair are rounded once to their stored type.\n" in planned
    exact = tuple(pair for pair in some_adaptation().pairs if pair.exact)
    assert "no number is rounded but those near the limits of their type" in " ".join(
        _text(directory=None, rounding=None, pairs=exact).split()
    )


def test_nothing_to_do_is_one_line() -> None:
    planned = _text(directory=None, rounding=None, changes=())
    assert "Nothing is to be done: vLLM computes the same with the adapter as it is." in planned
    written = _text(changes=())
    assert "The copy has the same numbers: vLLM computes the same" in written
    assert "rounded" not in planned + written
    assert "Done" not in planned + written


def test_nothing_is_rounded() -> None:
    pairs = tuple(pair for pair in some_adaptation().pairs if pair.exact)
    assert "No number is rounded: every factor is a power of two." in _text(pairs=pairs)


@pytest.mark.parametrize("width", [40, 60])
def test_narrow(width: int) -> None:
    lines = _text(width).splitlines()
    assert all(len(line) <= width or " " not in line.strip() for line in lines)
