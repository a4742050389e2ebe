"""How engines are asked for, with and without a version."""

from __future__ import annotations

import pytest

from lorascope.core.errors import SpecificationError
from lorascope.serving.asked import asked_engines
from lorascope.serving.engines import engines


def test_names_in_any_case_and_each_once() -> None:
    assert asked_engines(["vLLM", "llama.cpp", "vllm"]) == ("vllm", "llama.cpp")


@pytest.mark.parametrize("name", list(engines()))
def test_the_version_that_was_read(name: str) -> None:
    version = engines()[name].version
    assert asked_engines([f"{name}@{version}", f"{name}@v{version}"]) == (name,)


def test_another_version_is_not_judged_by_this_one() -> None:
    with pytest.raises(SpecificationError) as raised:
        asked_engines(["vllm@0.9"])
    known = engines()["vllm"].version
    assert raised.value.what == f"vLLM '0.9' is not known; only {known} was read."
    assert f"vllm@{known}" in (raised.value.hint or "")


@pytest.mark.parametrize("text", ["other", "other@1", "", "@0.33.0"])
def test_an_unknown_engine(text: str) -> None:
    with pytest.raises(SpecificationError, match="No serving engine is called"):
        asked_engines([text])
