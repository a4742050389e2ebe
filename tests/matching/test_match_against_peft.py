"""PEFT's own injection is the judge: the same targets, ranks, scales, counts and refusals."""

from __future__ import annotations

from dataclasses import fields

import peft
from hypothesis import assume, given
from hypothesis import strategies as st
from match_models import Case
from match_strategies import hand_made_cases, real_cases, specs

from lorascope.core.errors import SpecificationError
from lorascope.core.spec import LoraSpec
from lorascope.matching import explain, match
from match_judge import Verdict, arguments, of_lorascope, of_peft


def check(case: Case, spec: LoraSpec) -> None:
    """Require that both agree, to the last parameter."""
    try:
        ours: Verdict | SpecificationError = of_lorascope(
            match(case.inventory, spec, peft_version=peft.__version__)
        )
    except SpecificationError as error:
        assume("does not model" not in error.what)
        ours = error
        check_explained(case, spec, error)
    peft_says = of_peft(case.fresh(), spec)
    told = f"{case.name}\n{_stated(spec)}\nlorascope: {ours!r}\nPEFT: {peft_says!r}"
    if isinstance(peft_says, Exception) or isinstance(ours, Exception):
        assert isinstance(peft_says, Exception), f"PEFT takes this.\n{told}"
        assert isinstance(ours, Exception), f"PEFT refuses this.\n{told}"
        return
    assert dict(ours.layers) == dict(peft_says.layers), told
    assert ours.trainable == peft_says.trainable, told


def check_explained(case: Case, spec: LoraSpec, error: SpecificationError) -> None:
    """Require of `explain` the same words, raised or beside the entries."""
    try:
        told = explain(case.inventory, spec, peft_version=peft.__version__).refused
    except SpecificationError as raised:
        told = str(raised)
    assert told == str(error)


def _stated(spec: LoraSpec) -> str:
    """What differs from the defaults, for a message."""
    plain = LoraSpec()
    stated = {
        field.name: getattr(spec, field.name)
        for field in fields(spec)
        if getattr(spec, field.name) != getattr(plain, field.name)
    }
    return ", ".join(f"{name}={value!r}" for name, value in stated.items())


@given(data=st.data())
def test_transformers_models(data: st.DataObject) -> None:
    case = data.draw(real_cases)
    check(case, data.draw(specs(case)))


@given(data=st.data())
def test_hand_made_models(data: st.DataObject) -> None:
    case = data.draw(hand_made_cases())
    spec = data.draw(specs(case))
    check(case, spec)


def test_a_specification_reaches_peft_unchanged() -> None:
    spec = LoraSpec.from_dict({"r": 4, "target_modules": ["q"], "rank_pattern": {"q": 2}})
    assert arguments(spec)["target_modules"] == ["q"]
    assert arguments(spec)["rank_pattern"] == {"q": 2}
