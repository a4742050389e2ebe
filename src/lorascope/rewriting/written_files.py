"""Write an adapter's directory whole or not at all, tensor after tensor."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lorascope.core.errors import AdapterError, OutputError
from lorascope.core.stored import StoredTensor
from lorascope.rewriting.computed import bytes_of
from lorascope.source.local import ADAPTER_FILE
from lorascope.source.recipe_files import TENSORS_FILE
from lorascope.source.replace_file import check_replaceable

if TYPE_CHECKING:
    import torch

_ALIGNED = 8
_LONGEST = 100
"""Of a name, in that of the hidden directory, which has an end of its own."""
_FILES = (TENSORS_FILE, ADAPTER_FILE)
_OTHER = "Name another directory with -o."
_CUT = "The file is damaged or its download was cut off; fetch it again."


def check_output(directory: Path, *, force: bool, source: Path | None = None) -> None:
    """Refuse a directory that cannot be written or is there already, before anything is computed.

    Args:
        directory: Where to.
        force: Whether an adapter in it may be replaced.
        source: The directory of the trained adapter.

    Raises:
        OutputError: It exists, and that was not foreseen; or it can hold no adapter.
    """
    if not _is_name(directory):
        raise OutputError(f"{directory} is no name of a directory.", _OTHER)
    exists = os.path.lexists(directory)
    if source is not None and _is_same(directory, source):
        raise OutputError(f"{directory} is the adapter itself, which is not overwritten.", _OTHER)
    if exists and not force:
        raise OutputError(
            f"{directory} exists; nothing was written.",
            "Name another directory with -o, or use --force to replace the adapter in it.",
        )
    if exists and not directory.is_dir():
        raise OutputError(f"{directory} is no directory.", _OTHER)
    if exists and len(directory.resolve().parts) == 1:
        raise OutputError(f"{directory} is the root of the file system.", _OTHER)
    for path in (directory / name for name in _FILES) if exists else ():
        try:
            check_replaceable(path)
        except OSError as error:
            raise OutputError(f"{path} cannot be replaced: {error.strerror}.", _OTHER) from error


def _is_name(directory: Path) -> bool:
    try:
        return b"\0" not in os.fsencode(directory)
    except ValueError:  # a lone surrogate
        return False


def _is_same(directory: Path, other: Path) -> bool:
    try:
        return directory.samefile(other)
    except OSError:
        return False


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

    Everything is written into a hidden directory first: beside it, or in it if it is there. Other
    files stay as they are, and after a failure everything is as it was.

    Raises:
        OutputError: It cannot be written, or exists and `force` is not set.
    """
    parents: list[Path] = []
    hidden = f".{directory.name[:_LONGEST]}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        place = directory
        if not directory.is_dir():
            parents = _make(directory.absolute().parent)
            place = directory.absolute().parent
        beside = place / hidden
        try:
            beside.mkdir()
            with (beside / TENSORS_FILE).open("xb") as file:
                _write_tensors(file, header, tensors, metadata)
            text = json.dumps(dict(config), indent=2, sort_keys=True) + "\n"
            (beside / ADAPTER_FILE).write_text(text, encoding="utf-8")
            _put(beside, directory, force=force)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except BaseException as error:
        for parent in reversed(parents):
            with suppress(OSError):
                parent.rmdir()  # if nothing is in it
        if not isinstance(error, OSError):
            raise
        raise OutputError(
            f"{directory} cannot be written: {error.strerror or error}.",
            "Name a directory that you may write to with -o.",
        ) from error


def _make(directory: Path) -> list[Path]:
    """Make a directory and those around it, and return those that were not there."""
    lacking = [each for each in (directory, *directory.parents) if not each.exists()]
    made: list[Path] = []
    for each in reversed(lacking):
        with suppress(FileExistsError):
            each.mkdir()
            made.append(each)
    return made


def _put(beside: Path, directory: Path, *, force: bool) -> None:
    check_output(directory, force=force)
    if not directory.exists():
        beside.rename(directory)
        return
    kept = beside / "before"
    kept.mkdir()
    done: list[str] = []
    try:
        for name in _FILES:
            if os.path.lexists(directory / name):
                _keep(directory / name, kept / name)
            (beside / name).replace(directory / name)
            done.append(name)
    except BaseException:
        for name in done:
            if os.path.lexists(kept / name):
                (kept / name).replace(directory / name)
            else:
                (directory / name).unlink()
        raise


def _keep(path: Path, kept: Path) -> None:
    """Give a file another name too, so that it can be put back."""
    try:
        os.link(path, kept, follow_symlinks=False)
    except OSError:  # a file system without hard links
        shutil.copy2(path, kept, follow_symlinks=False)


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
