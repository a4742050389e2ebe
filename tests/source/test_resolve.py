from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkpoint_files import gguf_bytes, write_safetensors

from lorascope.core.errors import LorascopeError, ModelConfigError, ModelReferenceError
from lorascope.source import resolve
from lorascope.source.references import HubName, hub_name

module = sys.modules["lorascope.source.resolver"]  # the package has the function by that name

LLAMA = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4}


def _write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def _adapter(folder: Path, base: object, **more: object) -> Path:
    return _write(folder / "adapter_config.json", {"base_model_name_or_path": base, **more}).parent


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError(f"the Hub was asked: {args}")

    monkeypatch.setattr(module, "fetch_file", refuse)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[tuple[HubName, str], Any]:
    """A Hub of (repository, file) → JSON content."""
    files: dict[tuple[HubName, str], Any] = {}

    def fetch(name: HubName, filename: str, *, offline: bool) -> Path | None:
        content = files.get((name, filename))
        where = tmp_path / "hub" / name.repo_id / (name.revision or "main") / filename
        return None if content is None else _write(where, content)

    monkeypatch.setattr(module, "fetch_file", fetch)
    return files


@pytest.mark.usefixtures("no_hub")
class TestWithoutHub:
    def test_a_directory(self, tmp_path: Path) -> None:
        _write(tmp_path / "config.json", LLAMA)
        write_safetensors(tmp_path / "model.safetensors", {"a.weight": (2, 2)})
        source = resolve(str(tmp_path))
        assert (source.origin, source.model_type, source.directory) == (
            "directory",
            "llama",
            tmp_path,
        )
        assert source.config == LLAMA
        tensors = source.tensors()
        assert tensors is not None
        assert [tensor.name for tensor in tensors] == ["a.weight"]

    def test_a_config_by_any_name_beside_no_checkpoint(self, tmp_path: Path) -> None:
        source = resolve(str(_write(tmp_path / "my-model.json", LLAMA)))
        assert (source.origin, source.model_type, source.tensors()) == ("config", "llama", None)

    def test_a_gguf_file_by_name_or_by_content(self, tmp_path: Path) -> None:
        content = gguf_bytes({"general.architecture": "qwen2"}, [("output.weight", (8, 4))])
        for name in ("model.gguf", "ollama-blob"):
            path = tmp_path / name
            path.write_bytes(content)
            source = resolve(str(path))
            assert (source.origin, source.model_type) == ("gguf", "qwen2")
            assert source.tensors() is not None

    def test_a_bare_safetensors_file(self, tmp_path: Path) -> None:
        path = tmp_path / "weights.safetensors"
        write_safetensors(path, {"a.weight": (2, 2)})
        source = resolve(str(path))
        assert (source.config, source.model_type) == (None, None)
        assert "no config.json beside" in source.notes[0]
        _write(tmp_path / "config.json", LLAMA)
        assert resolve(str(path)).model_type == "llama"

    @pytest.mark.parametrize("name", ["Llama-3.1-8B", "llama-3.1-8b"])
    def test_an_example_in_any_case(self, name: str) -> None:
        source = resolve(name)
        assert (source.reference, source.origin) == ("Llama-3.1-8B", "example")
        assert source.base_model == "meta-llama/Llama-3.1-8B"
        assert source.tensors() is None

    def test_a_model_type(self) -> None:
        source = resolve("qwen3_moe")
        assert (source.origin, source.config, source.is_default_config) == (
            "model_type",
            None,
            True,
        )

    def test_without_transformers_any_word_passes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "known_model_types", frozenset)
        assert resolve("some_type").model_type == "some_type"

    def test_a_folder_named_like_a_model_type_needs_a_config_to_win(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "llama").mkdir()
        assert resolve("llama").origin == "model_type"
        _write(tmp_path / "llama" / "config.json", LLAMA)
        assert resolve("llama").origin == "directory"

    def test_an_existing_path_wins_over_a_hub_id(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        _write(tmp_path / "owner" / "name" / "config.json", LLAMA)
        assert resolve("owner/name").origin == "directory"

    def test_an_adapter_is_followed_to_its_base(self, tmp_path: Path) -> None:
        _write(tmp_path / "base" / "config.json", LLAMA)
        folder = _adapter(tmp_path / "adapter", str(tmp_path / "base"))
        for reference in (folder, folder / "adapter_config.json"):
            source = resolve(str(reference))
            assert source.reference == str(reference)
            assert source.base_model == str(tmp_path / "base")
            assert source.model_type == "llama"
            assert "is an adapter; this is its base model" in source.notes[0]

    def test_an_adapter_of_an_adapter_and_a_path_beside_it(self, tmp_path: Path) -> None:
        _write(tmp_path / "base" / "config.json", LLAMA)
        _adapter(tmp_path / "first", "../base")
        folder = _adapter(tmp_path / "second", "../first")
        source = resolve(str(folder))
        assert source.model_type == "llama"
        assert len(source.notes) == 2

    def test_a_directory_with_both_configs_is_the_model(self, tmp_path: Path) -> None:
        _write(tmp_path / "config.json", LLAMA)
        _adapter(tmp_path, "nowhere/else")
        assert resolve(str(tmp_path)).model_type == "llama"

    def test_adapters_in_a_circle(self, tmp_path: Path) -> None:
        _adapter(tmp_path / "a", str(tmp_path / "b"))
        _adapter(tmp_path / "b", str(tmp_path / "a"))
        with pytest.raises(ModelReferenceError, match="leads back to itself"):
            resolve(str(tmp_path / "a"))

    def test_a_long_chain_of_adapters(self, tmp_path: Path) -> None:
        for index in range(9):
            _adapter(tmp_path / str(index), str(tmp_path / str(index + 1)))
        with pytest.raises(ModelReferenceError, match="More than 4 adapters"):
            resolve(str(tmp_path / "0"))

    @pytest.mark.parametrize(
        ("base", "message"),
        [
            (None, "names no base model"),
            (3, "names no base model"),
            ("/gone/model", "/gone/model is neither a local path that exists nor a Hub id"),
            ("x" * 5000, "the Hub was asked"),
            ("nul\0byte", "neither a local path"),
        ],
    )
    def test_an_adapter_whose_base_cannot_be_found(
        self, tmp_path: Path, base: object, message: str
    ) -> None:
        with pytest.raises((ModelReferenceError, AssertionError), match=message):
            resolve(str(_adapter(tmp_path, base)))

    def test_an_error_in_the_base_keeps_its_type_and_says_whose_base(self, tmp_path: Path) -> None:
        _write(tmp_path / "base" / "config.json", {"model_type": "llama", "n_layer": 10**9})
        folder = _adapter(tmp_path / "adapter", str(tmp_path / "base"))
        with pytest.raises(ModelConfigError) as caught:
            resolve(str(folder))
        assert "is an adapter of" in caught.value.what
        assert "n_layer is 1,000,000,000" in caught.value.what

    @pytest.mark.parametrize(
        ("reference", "what", "hint"),
        [
            ("", "'' is not a model reference", "lorascope models"),
            ("  ", "is not a model reference", "Name a Hub id"),
            ("x" * 5000, "is not a model reference", "Name a Hub id"),
            ("a\0b", "is not a model reference", "Name a Hub id"),
            ("./gone", "There is no file or directory ./gone", "owner/name"),
            ("gone.json", "There is no file or directory gone.json", "owner/name"),
            ("gone.gguf", "There is no file or directory gone.gguf", "owner/name"),
            ("a/b/c", "There is no file or directory a/b/c", "owner/name"),
            ("~nobody-at-all/x", "There is no file or directory", "owner/name"),
            ("qwen3_mo", "'qwen3_mo' is not a path", "Did you mean qwen3_moe"),
            ("Llama-3.1-8", "is not a path", "Did you mean Llama-3.1-8B"),
            ("zzzzzzzz", "is not a path", "A Hub id has the form owner/name"),
            ("owner/name@", "is not a path", "owner/name"),
            ("owner/na me", "is not a path", "owner/name"),
            ("\x1b[31mred", r"'\x1b[31mred' is not a path", "owner/name"),
        ],
    )
    def test_what_names_nothing(self, reference: str, what: str, hint: str) -> None:
        with pytest.raises(ModelReferenceError) as caught:
            resolve(reference)
        assert what in caught.value.what
        assert caught.value.hint is not None
        assert hint in caught.value.hint
        assert str(caught.value).isprintable()

    def test_a_directory_without_config(self, tmp_path: Path) -> None:
        with pytest.raises(ModelReferenceError, match=r"has no config\.json, no adapter_config"):
            resolve(str(tmp_path))
        (tmp_path / "model-Q4.gguf").write_bytes(b"GGUF")
        with pytest.raises(ModelReferenceError, match=r"named itself: .*model-Q4\.gguf"):
            resolve(str(tmp_path))

    def test_a_json_file_that_is_no_config(self, tmp_path: Path) -> None:
        path = _write(tmp_path / "tokenizer.json", {"version": "1.0"})
        with pytest.raises(ModelConfigError, match="neither model_type nor architectures"):
            resolve(str(path))
        path = _write(tmp_path / "config.json", {"model_type": ["llama"]})
        with pytest.raises(ModelConfigError, match="expected a string"):
            resolve(str(path))

    @pytest.mark.parametrize("reference", ["llama", "Llama-3.1-8B", "."])
    def test_only_hub_ids_have_revisions(
        self, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(_write(tmp_path / "config.json", LLAMA).parent)
        with pytest.raises(ModelReferenceError, match="only Hub ids have revisions"):
            resolve(reference, revision="main")


class TestHub:
    def test_config_revision_and_identity(self, hub: dict[tuple[HubName, str], Any]) -> None:
        hub[HubName("owner/name", "v1"), "config.json"] = LLAMA
        for source in (
            resolve("owner/name@v1"),
            resolve("owner/name", revision="v1"),
            resolve("owner/name@v1", revision="v1"),
            resolve("https://huggingface.co/owner/name/tree/v1"),
        ):
            assert (source.reference, source.origin) == ("owner/name", "hub")
            assert (source.revision, source.base_model) == ("v1", "owner/name")
            assert source.model_type == "llama"

    def test_two_revisions_at_once(self, hub: dict[tuple[HubName, str], Any]) -> None:
        with pytest.raises(ModelReferenceError, match="Two revisions are asked"):
            resolve("owner/name@v1", revision="v2")

    def test_a_repository_without_owner_needs_a_revision(
        self, hub: dict[tuple[HubName, str], Any]
    ) -> None:
        hub[HubName("gpt2", "main"), "config.json"] = {"model_type": "gpt2"}
        assert resolve("gpt2@main").origin == "hub"
        assert resolve("gpt2").origin == "model_type"

    def test_an_adapter_on_the_hub_keeps_the_revision_of_its_base(
        self, hub: dict[tuple[HubName, str], Any]
    ) -> None:
        hub[HubName("me/adapter", None), "adapter_config.json"] = {
            "base_model_name_or_path": "owner/base",
            "revision": "abc",
        }
        hub[HubName("owner/base", "abc"), "config.json"] = LLAMA
        source = resolve("me/adapter")
        assert (source.reference, source.base_model, source.revision) == (
            "me/adapter",
            "owner/base",
            "abc",
        )

    def test_an_old_base_without_owner_is_a_repository_not_a_model_type(
        self, hub: dict[tuple[HubName, str], Any], tmp_path: Path
    ) -> None:
        hub[HubName("gpt2", None), "config.json"] = {"model_type": "gpt2", "n_layer": 6}
        source = resolve(str(_adapter(tmp_path / "adapter", "gpt2")))
        assert source.origin == "hub"
        assert source.config == {"model_type": "gpt2", "n_layer": 6}

    def test_a_repository_without_any_config(self, hub: dict[tuple[HubName, str], Any]) -> None:
        with pytest.raises(ModelReferenceError) as caught:
            resolve("owner/weights-GGUF")
        assert "has no config.json and no adapter_config.json" in caught.value.what
        assert "GGUF" in (caught.value.hint or "")

    def test_a_bad_config_is_named_by_its_repository(
        self, hub: dict[tuple[HubName, str], Any]
    ) -> None:
        hub[HubName("owner/name", None), "config.json"] = {"model_type": "x", "num_layers": 10**9}
        with pytest.raises(ModelConfigError, match=r"^config\.json of owner/name: num_layers is"):
            resolve("owner/name")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("owner/name", HubName("owner/name", None)),
        ("owner/na.me-x_1@refs", HubName("owner/na.me-x_1", "refs")),
        ("owner/name@refs/pr/1", HubName("owner/name", "refs/pr/1")),
        ("name@v1", HubName("name", "v1")),
        ("https://hf.co/owner/name/", HubName("owner/name", None)),
        ("name", None),
        ("./owner", None),
        ("a/b/c", None),
        ("owner/name.json", None),
    ],
)
def test_the_form_of_a_hub_id(reference: str, expected: HubName | None) -> None:
    assert hub_name(reference) == expected


def test_resolving_locally_loads_no_heavy_library(tmp_path: Path) -> None:
    _write(tmp_path / "config.json", LLAMA)
    script = (
        "import sys; from lorascope.source import resolve\n"
        f"for name in ({str(tmp_path)!r}, 'Llama-3.1-8B', 'llama'): resolve(name)\n"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'importlib.metadata', 'numpy'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


def test_every_error_is_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(LorascopeError):
        resolve(str(tmp_path / "config.json"))
