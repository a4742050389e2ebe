from pathlib import Path

import pytest

from lorascope.cli.check_paths import split_model
from lorascope.cli.usage import UsageError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in (
        "train.yaml",
        "other.yaml",
        "run.sh",
        "adapter/adapter_config.json",
        "second/adapter_config.json",
        "model/config.json",
        "merged/config.json",
        "merged/adapter_config.json",
        "configs/a.yaml",
        "model.gguf",
    ):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("")


def split(*arguments: str, model: str | None = None) -> tuple[list[str], str | None]:
    return split_model(arguments, model, takes_paths=True)


@pytest.mark.parametrize(
    "last",
    [
        "Llama-3.1-8B",
        "owner/name",
        "owner/name@main",
        "qwen3_moe",
        "./model",
        "model/config.json",
        "model.gguf",
        "elsewhere/config.json",
        "elsewhere/model.gguf",
        "name\0",
        "n" * 5000,
    ],
)
def test_the_last_one_is_the_model(last: str) -> None:
    assert split("train.yaml", last) == (["train.yaml"], last)
    assert split("train.yaml", "adapter", last) == (["train.yaml", "adapter"], last)


@pytest.mark.parametrize(
    "last",
    [
        "other.yaml",
        "run.sh",
        "adapter",
        "configs",
        "merged",
        "second/adapter_config.json",
        "missing.yaml",
        "missing.yml",
        "missing.sh",
        "missing/adapter_config.json",
        "-",
    ],
)
def test_the_last_one_is_a_path(last: str) -> None:
    assert split("train.yaml", last) == (["train.yaml", last], None)


@pytest.mark.parametrize("only", ["train.yaml", "model", "model/config.json", "Llama-3.1-8B", "-"])
def test_a_single_one_is_a_path(only: str) -> None:
    assert split(only) == ([only], None)


def test_many_adapters_are_all_paths() -> None:
    names = ["adapter/adapter_config.json", "second/adapter_config.json"]
    assert split(*names) == (names, None)


def test_a_stated_model_leaves_all_as_paths() -> None:
    assert split("train.yaml", "owner/name", model="m") == (["train.yaml", "owner/name"], "m")


def test_no_path() -> None:
    with pytest.raises(UsageError, match=r"check: expected PATH: an adapter.*See: lorascope"):
        split()
    with pytest.raises(UsageError, match="expected PATH"):
        split(model="Llama-3.1-8B")


def test_with_targets_the_only_one_is_the_model() -> None:
    assert split_model(["Phi-3-mini"], None, takes_paths=False) == ([], "Phi-3-mini")
    assert split_model(["train.yaml"], None, takes_paths=False) == ([], "train.yaml")
    assert split_model([], "Phi-3-mini", takes_paths=False) == ([], "Phi-3-mini")
    assert split_model([], None, takes_paths=False) == ([], None)


@pytest.mark.parametrize(
    ("arguments", "model"), [(["train.yaml", "Phi-3-mini"], None), (["train.yaml"], "Phi-3-mini")]
)
def test_with_targets_more_is_too_much(arguments: list[str], model: str | None) -> None:
    with pytest.raises(UsageError, match=r"only MODEL is expected, got 'train\.yaml' as well\."):
        split_model(arguments, model, takes_paths=False)


@pytest.mark.parametrize("arguments", [[""], ["train.yaml", ""], ["", "Llama-3.1-8B"]])
def test_an_empty_argument_is_not_the_working_directory(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="got '', which names nothing") as caught:
        split(*arguments)
    assert "lorascope check ." in str(caught.value)
