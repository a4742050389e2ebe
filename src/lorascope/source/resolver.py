"""From what the user names to a `ModelSource`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from lorascope.core.errors import LorascopeError, ModelReferenceError
from lorascope.source.adapter import AdapterBase, read_adapter
from lorascope.source.config_file import load_config_file
from lorascope.source.examples import Example, find_example, nearest_names
from lorascope.source.hub import NotCachedError, cached_file, fetch_file
from lorascope.source.hub_tensors import hub_tensors
from lorascope.source.local import (
    ADAPTER_FILE,
    CONFIG_FILE,
    adapter_file,
    holds_model,
    local_source,
    no_model_in,
    source_of_config,
)
from lorascope.source.model_source import ModelSource
from lorascope.source.model_types import known_model_types
from lorascope.source.references import HubName, hub_name, is_word, looks_like_path

_LONGEST_REFERENCE = 4_096
_MOST_ADAPTERS = 4
"""How many adapters may stand on one another before the model itself."""


def resolve(reference: str, *, offline: bool = False, revision: str | None = None) -> ModelSource:
    """Find out what `reference` names, and read its config.

    Tried in this order; the first that applies is meant, and its errors are final:

    1. A path that exists. A single word (no slash, no file ending) counts only if it is a
       directory with a `config.json`, an `adapter_config.json` or a safetensors file, so that a
       folder that happens to be called `llama` does not hide the model type.
    2. What can only be a path (`./x`, `~/x`, `a/b/c`, `x.json`, …): it does not exist.
    3. A built-in example by its name, in any case: `Llama-3.1-8B`. Its Hub id means the Hub.
    4. A transformers model type: `llama`, `qwen3_moe`, with its class's default sizes. Where
       transformers is not installed any word passes; the build then says what is missing.
    5. A Hub id: `owner/name`, `owner/name@revision`, a huggingface.co address, and, for the few
       repositories without an owner, `name@revision`.

    A local or Hub adapter is followed to its base model, which is a path or a Hub id, never an
    example or a model type.

    Args:
        reference: What the user names.
        offline: Take Hub files from the local cache only.
        revision: Branch, tag or commit for a Hub id that names none itself.

    Raises:
        ModelReferenceError: Nothing of that name can be read.
        ModelConfigError: A config or checkpoint header is malformed.
    """
    return _Resolver(offline).resolve(reference, revision)


def resolve_base(
    name: str, beside: Path, *, offline: bool = False, revision: str | None = None
) -> ModelSource:
    """Find the base model that a training file or an adapter names.

    That is a path from here or from beside the file, or a Hub id; never an example or a type.

    Args:
        name: As the file names it.
        beside: Directory of the file.
        offline: Take Hub files from the local cache only.
        revision: Branch, tag or commit for a Hub id.

    Raises:
        ModelReferenceError: Nothing of that name can be read.
        ModelConfigError: A config or checkpoint header is malformed.
    """
    return _Resolver(offline).base(AdapterBase(name, revision), beside)


class _Resolver:
    """One resolution: the options, and the adapters already passed on the way to a base."""

    def __init__(self, offline: bool) -> None:
        self._offline = offline
        self._passed: list[str] = []

    def resolve(self, reference: str, revision: str | None) -> ModelSource:
        if not reference.strip() or len(reference) > _LONGEST_REFERENCE or "\0" in reference:
            raise ModelReferenceError(
                f"{reference!r:.80} is not a model reference.",
                "Name a Hub id, a path, a model type or a built-in example (`lorascope models`).",
            )
        path = _user_path(reference)
        if _counts_as_path(reference, path):
            self._refuse_revision(reference, revision)
            return self._local(reference, path)
        if looks_like_path(reference) and hub_name(reference) is None:
            raise ModelReferenceError(
                f"There is no file or directory {reference}.",
                "Check the path; a Hub id has the form owner/name.",
            )
        if is_word(reference):
            self._refuse_revision(reference, revision)
            return _word(reference, path)
        name = hub_name(reference)
        if name is None:
            raise _unknown(reference)
        return self._hub(reference, _with_revision(name, revision))

    def _local(self, reference: str, path: Path) -> ModelSource:
        adapter = adapter_file(path)
        if adapter is None:
            return local_source(reference, path)
        return self._base_of(reference, adapter, str(adapter.parent.resolve()))

    def _hub(self, reference: str, name: HubName) -> ModelSource:
        path, adapter = self._hub_files(name)
        if adapter is not None:
            return self._base_of(reference, adapter, f"{name.repo_id}@{name.revision or ''}")
        if path is None:
            raise ModelReferenceError(
                f"The Hub repository {name.repo_id} has no {CONFIG_FILE} and no {ADAPTER_FILE}.",
                "If it holds GGUF files, name a downloaded one; else name its base model.",
            )
        where = f"{CONFIG_FILE} of {name.repo_id}"
        source = source_of_config(reference, load_config_file(path), where)
        return replace(
            source,
            reference=name.repo_id,
            origin="hub",
            revision=name.revision,
            base_model=name.repo_id,
            tensor_reader=cache(lambda: hub_tensors(name, offline=self._offline)),
        )

    def _hub_files(self, name: HubName) -> tuple[Path | None, Path | None]:
        """Return the model's config and, only if there is none, the adapter's."""
        try:
            path = fetch_file(name, CONFIG_FILE, offline=self._offline)
        except NotCachedError:
            adapter = cached_file(name, ADAPTER_FILE)
            if adapter is None:
                raise
            return None, adapter
        if path is not None:
            return path, None
        return None, fetch_file(name, ADAPTER_FILE, offline=self._offline)

    def _base_of(self, reference: str, adapter: Path, identity: str) -> ModelSource:
        """Follow an adapter to its base model."""
        if identity in self._passed:
            raise ModelReferenceError(
                f"The adapter {reference} leads back to itself through base_model_name_or_path."
            )
        self._passed.append(identity)
        if len(self._passed) > _MOST_ADAPTERS:
            raise ModelReferenceError(
                f"More than {_MOST_ADAPTERS} adapters stand on one another: "
                + " → ".join(self._passed)
            )
        base = read_adapter(adapter)
        try:
            source = self.base(base, adapter.parent)
        except LorascopeError as error:
            raise type(error)(
                f"{reference} is an adapter of {base.name}: {error.what}", error.hint
            ) from error
        note = f"{reference} is an adapter; this is its base model {base.name}."
        return replace(
            source, reference=reference, base_model=base.name, notes=(note, *source.notes)
        )

    def base(self, base: AdapterBase, beside: Path) -> ModelSource:
        """A base model is a path (from here or from beside the adapter) or a Hub id."""
        for path in (_user_path(base.name), beside / base.name):
            if _is_model(path):
                return self._local(base.name, path)
        name = hub_name(base.name)
        if name is None and is_word(base.name):
            name = HubName(base.name, None)
        if name is None:
            raise ModelReferenceError(
                f"{base.name} is neither a local path that exists nor a Hub id.",
                "Mend the name of the base model in the file.",
            )
        return self._hub(base.name, _with_revision(name, base.revision))

    @staticmethod
    def _refuse_revision(reference: str, revision: str | None) -> None:
        if revision is not None:
            raise ModelReferenceError(
                f"{reference} has no revision {revision!r}: only Hub ids have revisions."
            )


def _user_path(reference: str) -> Path:
    try:
        return Path(reference).expanduser()
    except RuntimeError:  # no such user's home
        return Path(reference)


def _counts_as_path(reference: str, path: Path) -> bool:
    try:
        if is_word(reference):
            return path.is_dir() and holds_model(path)
        return path.exists()
    except (OSError, ValueError):  # a name that the file system cannot hold
        return False


def _is_model(path: Path) -> bool:
    try:
        return path.is_file() or (path.is_dir() and holds_model(path))
    except (OSError, ValueError):  # a name that the file system cannot hold
        return False


def _word(reference: str, path: Path) -> ModelSource:
    example = find_example(reference)
    if example is not None:
        return _example(example)
    types = known_model_types()
    if types and reference not in types:
        raise no_model_in(path) if path.is_dir() else _unknown(reference)
    return ModelSource(reference, "model_type", None, reference, is_default_config=True)


def _example(example: Example) -> ModelSource:
    source = source_of_config(example.name, example.config, example.name)
    return replace(source, origin="example", base_model=example.hub_id)


def _with_revision(name: HubName, revision: str | None) -> HubName:
    if revision is None or name.revision == revision:
        return name
    if name.revision is not None:
        raise ModelReferenceError(
            f"Two revisions are asked of {name.repo_id}: {name.revision!r} and {revision!r}."
        )
    return HubName(name.repo_id, revision)


def _unknown(reference: str) -> ModelReferenceError:
    near = nearest_names(reference, known_model_types())
    meant = f"Did you mean {', '.join(near)}? " if near else ""
    return ModelReferenceError(
        f"{reference!r} is not a path that exists, a built-in example, a transformers model type"
        " or a Hub id.",
        f"{meant}A Hub id has the form owner/name; `lorascope models` lists the examples.",
    )
