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


def test_one_text_with_commas() -> None:
    assert asked_engines("sglang") == ("sglang",)
    assert asked_engines("lorax, sglang") == ("lorax", "sglang")


def test_what_is_known_of_older_releases_is_said() -> None:
    with pytest.raises(SpecificationError) as raised:
        asked_engines(["vllm@0.30.0"])
    assert (raised.value.hint or "").endswith(
        "Of other releases this is known: those up to 0.31.0 scale every module by the global"
        " lora_alpha and r; newer ones scale each module as trained, rank_pattern and"
        " alpha_pattern read."
    )
