"""Write an adapter's directory whole or not at all, tensor after tensor."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lorascope.core.errors import AdapterError, OutputError
from lorascope.core.stored import StoredTensor
from lorascope.rewriting.computed import bytes_of
from lorascope.source.local import ADAPTER_FILE
from lorascope.source.recipe_files import TENSORS_FILE

if TYPE_CHECKING:
    import torch

_ALIGNED = 8
_CUT = "The file is damaged or its download was cut off; fetch it again."


def check_output(directory: Path, *, force: bool) -> None:
    """Refuse a directory that is there already, before anything is computed.

    Raises:
        OutputError: It exists, and that was not foreseen.
    """
    if os.path.lexists(directory) and not force:
        raise OutputError(
            f"{directory} exists; nothing was written.",
            "Name another directory with -o, or use --force to replace the adapter in it.",
        )
    if os.path.lexists(directory) and not directory.is_dir():
        raise OutputError(f"{directory} is no directory.", "Name another one with -o.")


class StoredNumbers:
    """The numbers of a safetensors file, read one tensor at a time."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self._path = path
        try:
            self._file: Any = safe_open(str(path), framework="pt")
        except (OSError, SafetensorError) as error:
            raise AdapterError(f"{path} cannot be read: {error}.", _CUT) from error

    def __call__(self, name: str) -> torch.Tensor:
        """Return one tensor."""
        from safetensors import SafetensorError

        try:
            tensor: torch.Tensor = self._file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise AdapterError(f"{self._path}: {name}: {error}.", _CUT) from error
        return tensor

    def metadata(self) -> dict[str, str]:
        """Return what the file says beside its tensors."""
        return dict(self._file.metadata() or {"format": "pt"})


def write_adapter(
    directory: Path,
    config: Mapping[str, Any],
    header: Sequence[StoredTensor],
    tensors: Iterable[tuple[str, torch.Tensor]],
    metadata: Mapping[str, str],
    *,
    force: bool,
) -> None:
    """Write configuration and tensors; with `force`, in the place of those in the directory.

    Everything is written into a hidden directory beside it first. Other files stay as they are.

    Raises:
        OutputError: It cannot be written, or exists and `force` is not set.
    """
    beside = directory.with_name(f".{directory.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        directory.absolute().parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        try:
            with (beside / TENSORS_FILE).open("xb") as file:
                _write_tensors(file, header, tensors, metadata)
            text = json.dumps(dict(config), indent=2, sort_keys=True) + "\n"
            (beside / ADAPTER_FILE).write_text(text, encoding="utf-8")
            _put(beside, directory, force=force)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"{directory} cannot be written: {error.strerror or error}.",
            "Name a directory that you may write to with -o.",
        ) from error


def _put(beside: Path, directory: Path, *, force: bool) -> None:
    check_output(directory, force=force)
    if not directory.exists():
        beside.rename(directory)
        return
    for name in (TENSORS_FILE, ADAPTER_FILE):
        (beside / name).replace(directory / name)


def _write_tensors(
    file: BinaryIO,
    header: Sequence[StoredTensor],
    tensors: Iterable[tuple[str, torch.Tensor]],
    metadata: Mapping[str, str],
) -> None:
    """Write one safetensors file.

    Format: https://huggingface.co/docs/safetensors/index#format.
    """
    entries: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for tensor in header:
        if tensor.name in entries:
            raise AdapterError(f"Two tensors would be called {tensor.name}.")
        start, end = end, end + bytes_of(tensor)
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for expected, (name, numbers) in zip(header, tensors, strict=True):
        if name != expected.name or tuple(numbers.shape) != expected.shape:
            raise AdapterError(f"{name} came out otherwise than planned.")
        file.writelines(_bytes(numbers))


def _bytes(tensor: torch.Tensor) -> Iterator[memoryview]:
    import torch

    flat = tensor.contiguous().reshape(-1).view(torch.uint8)
    yield flat.numpy().data
