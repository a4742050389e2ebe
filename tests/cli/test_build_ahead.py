"""Base models built in several processes: when, how far, and what is left when it goes wrong."""

from __future__ import annotations

import json
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children
from pathlib import Path
from typing import NoReturn

import pytest

from lorascope.api.bases import BaseModels, BaseName
from lorascope.cli import build_ahead as module
from lorascope.cli.build_ahead import build, build_ahead

SIZES = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 32,
}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LORASCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)


def base(folder: Path, task_type: str | None = None) -> BaseName:
    return BaseName(str(folder), folder.parent, None, task_type)


def models(folder: Path, count: int) -> list[BaseName]:
    """Write the configs of as many small models, each of another depth."""
    for number in range(count):
        path = folder / f"model{number}"
        path.mkdir()
        config = {**SIZES, "num_hidden_layers": number + 1}
        (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return [base(folder / f"model{number}") for number in range(count)]


def unknown(folder: Path) -> list[BaseName]:
    """Name base models that do not exist, so that no process has anything to build."""
    return [base(folder / f"none{number}") for number in range(4)]


def refuse(*_: object) -> NoReturn:
    raise AssertionError("processes were started")


def test_what_is_lacking_is_told_once_each_and_not_if_it_cannot_be_read(tmp_path: Path) -> None:
    known = models(tmp_path, 3)
    names = [*known, *unknown(tmp_path), known[0], base(tmp_path / "model0", "SEQ_CLS")]
    assert BaseModels().lacking(names) == (*known, base(tmp_path / "model0", "SEQ_CLS"))


@pytest.mark.parametrize(
    "option", [{"cache": False}, {"refresh": True}, {"trust_remote_code": True}]
)
def test_nothing_is_lacking_where_the_cache_would_not_serve(
    tmp_path: Path, option: dict[str, bool]
) -> None:
    assert BaseModels(**option).lacking(models(tmp_path, 3)) == ()


def test_nothing_is_lacking_without_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORASCOPE_CACHE", "")
    assert BaseModels().lacking(models(tmp_path, 3)) == ()


def test_a_reference_is_resolved_once(tmp_path: Path) -> None:
    """What is found out ahead, from the Hub too, is not asked again by the check."""
    names = models(tmp_path, 3)
    bases = BaseModels()
    bases.lacking(names)
    (tmp_path / "model0" / "config.json").unlink()
    assert bases._source(names[0]).base_model == str(tmp_path / "model0")


def test_what_is_built_is_no_longer_lacking(tmp_path: Path) -> None:
    names = models(tmp_path, 2)
    build(names[0], offline=True)
    assert BaseModels().lacking(names) == (names[1],)
    assert BaseModels().named(names[0]).built_with.method == "cache"


def test_an_error_is_left_to_the_check(tmp_path: Path) -> None:
    build(base(tmp_path / "none"), offline=True)


@pytest.mark.parametrize(("count", "processors"), [(2, 8), (3, 1)])
def test_few_models_or_one_processor_start_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, processors: int
) -> None:
    monkeypatch.setattr(module.os, "cpu_count", lambda: processors)
    monkeypatch.setattr(module, "_build", refuse)
    build_ahead(models(tmp_path, count), BaseModels(), print)


@pytest.mark.parametrize(("processors", "processes"), [(2, 2), (64, 4)])
def test_there_are_no_more_processes_than_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int, processes: int
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(module.os, "cpu_count", lambda: processors)
    monkeypatch.setattr(module, "_build", lambda *given: asked.append(given))
    names = models(tmp_path, 5)
    build_ahead(names, BaseModels(offline=True), print)
    assert asked == [(tuple(names), True, processes, print)]


@pytest.mark.parametrize(
    "error", [BrokenProcessPool("killed"), OSError("no semaphores"), NotImplementedError()]
)
def test_processes_that_do_not_work_are_worked_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(module, "_build", fail)
    build_ahead(models(tmp_path, 3), BaseModels(), print)


def test_it_says_how_far_it_is_and_leaves_no_process(tmp_path: Path) -> None:
    said: list[str] = []
    before = set(active_children())
    module._build(unknown(tmp_path), True, 2, said.append)
    assert said == [
        "building 4 base models in 2 processes",
        *(f"building base models in 2 processes: {done} of 4" for done in (1, 2, 3, 4)),
    ]
    assert set(active_children()) <= before


def test_an_interrupt_ends_the_processes(tmp_path: Path) -> None:
    def interrupt(_: str) -> NoReturn:
        raise KeyboardInterrupt

    before = set(active_children())
    with pytest.raises(KeyboardInterrupt):
        module._build(unknown(tmp_path), True, 2, interrupt)
    assert set(active_children()) <= before
