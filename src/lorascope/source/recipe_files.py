"""Files that may hold LoRA configurations: found, and read as bounded text."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lorascope.core.errors import LorascopeError, RecipeError
from lorascope.core.stored import StoredTensor
from lorascope.source.config_file import LARGEST_CONFIG, read_bounded
from lorascope.source.local import ADAPTER_FILE
from lorascope.source.regular_file import open_regular
from lorascope.source.safetensors_header import read_whole_safetensors

TENSORS_FILE = "adapter_model.safetensors"
PICKLES = ("adapter_model.bin", "adapter_model.pt", "adapter_model.pth")
MOST_FILES = 10_000
_MOST_LOOKED_AT = 1_000_000
_MOST_JSON = 200
"""JSON files of one folder that are looked into; more of them are data."""
_BEGINNING = 20_000
"""Bytes of a JSON file in which one of its keys must stand."""
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FIRST_BYTES = 8
"""Bytes by which UTF-16 without a byte order mark is told."""
_LEFT_OUT = frozenset({"node_modules", "__pycache__", "site-packages", "wandb"})


def find_files(
    path: Path,
    is_wanted: Callable[[str], bool],
    has_signs: Callable[[bytes], bool] = lambda _: False,
) -> tuple[Path, ...]:
    """Return the files to check for what a user named: itself, or those below a directory.

    Hidden directories, virtual environments and what packages bring along are left out, and
    links to directories are not followed. So are JSON files beside an `adapter_config.json`, which
    a trainer or tokenizer wrote, and those of a folder with so many that they are data.

    Args:
        path: A file or a directory.
        is_wanted: Whether a file of a directory deserves reading, by its name.
        has_signs: Whether a JSON file of a directory does, by its first bytes.

    Raises:
        RecipeError: There is nothing of that name, or a directory holds no such file, or too many.
    """
    try:
        if not path.is_dir():
            return (_file(path),)
    except (OSError, ValueError) as error:
        raise _missing(path) from error
    found = sorted(_below(path, is_wanted, has_signs))
    if not found:
        raise RecipeError(
            f"The directory {path} holds no {ADAPTER_FILE}, no YAML file, no shell script, and no"
            " JSON file with keys of LoRA.",
            "Name the file itself; --format says whose it is.",
        )
    return tuple(found)


def _file(path: Path) -> Path:
    if path.suffix.lower() in _PICKLED:
        raise RecipeError(
            f"{path} is a pickle, which can run any code when it is opened, so it is not read.",
            f"Save the adapter as safetensors ({TENSORS_FILE}), or name its {ADAPTER_FILE}.",
        )
    if path.suffix.lower() == ".safetensors":
        return path.parent / ADAPTER_FILE
    return path


def _missing(path: Path) -> RecipeError:
    return RecipeError(f"There is no file or directory {path}.", "Check the path.")


def _below(
    directory: Path, is_wanted: Callable[[str], bool], has_signs: Callable[[bytes], bool]
) -> Iterator[Path]:
    looked_at = found = 0
    closed: list[Path] = []
    for folder, folders, files in os.walk(
        directory, onerror=lambda error: closed.append(Path(error.filename))
    ):
        here = Path(folder)
        folders[:] = sorted(
            each
            for each in folders
            if not each.startswith(".")
            and each not in _LEFT_OUT
            and not _is_file(here / each / "pyvenv.cfg")
        )
        signed = {name for name in _json_files(files) if has_signs(_beginning(here / name))}
        for name in files:
            looked_at += 1
            if name in signed or (is_wanted(name) and not name.startswith(".")):
                found += 1
                yield here / name
            if found > MOST_FILES or looked_at > _MOST_LOOKED_AT:
                raise RecipeError(
                    f"Below {directory} there are more than {MOST_FILES:,} files to check.",
                    "Name narrower directories.",
                )
    yield from closed  # that these cannot be read is told like that of a file


def _json_files(names: Sequence[str]) -> Sequence[str]:
    """Return the JSON files of a folder that may be a person's configuration."""
    found = [name for name in names if name.lower().endswith(".json") and not name.startswith(".")]
    return () if ADAPTER_FILE in names or len(found) > _MOST_JSON else found


def _beginning(path: Path) -> bytes:
    """Return the first bytes of a file; none if it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(_BEGINNING)
    except OSError:
        return b""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a directory that may not be looked into
        return False


def real_path(path: Path) -> Path:
    """Return where links lead; the path itself where that cannot be told."""
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # no such place, or links in a circle
        return path


def read_text(path: Path) -> str:
    """Read a file of at most 10 MB as UTF-8 text, with or without a byte order mark.

    Raises:
        RecipeError: It cannot be read, is too large, or is no UTF-8 text.
    """
    try:
        content = read_bounded(path, LARGEST_CONFIG)
    except LorascopeError as error:
        raise RecipeError(error.what, "Name an adapter or a training file.") from error
    return decoded(content, str(path))


def decoded(content: bytes, where: str) -> str:
    """Decode UTF-8 text; line ends stay as they are.

    Raises:
        RecipeError: It is something else.
    """
    if content.startswith(_UTF_16_MARKS) or _is_bare_utf_16(content):
        raise RecipeError(f"{where} is UTF-16 text; expected UTF-8.", "Save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{where} is no UTF-8 text (byte {error.start:,}).",
            "Name an adapter or a training file.",
        ) from error


def _is_bare_utf_16(content: bytes) -> bool:
    """Whether the first characters are each beside a zero byte, as Latin letters are there."""
    start = content[:_FIRST_BYTES]
    return len(start) == _FIRST_BYTES and (not any(start[::2]) or not any(start[1::2]))


def stored_tensors(config: Path) -> tuple[tuple[StoredTensor, ...] | None, str | None]:
    """Read the header of the tensors beside an `adapter_config.json`.

    Returns:
        The tensors, or None if there are none to read; and a sentence that says why not, if
        there is something to say.

    Raises:
        LorascopeError: The header is damaged, or the file is cut off.
    """
    tensors = config.parent / TENSORS_FILE
    try:
        is_there = tensors.is_file()
    except OSError as error:  # a link into a directory that may not be looked into
        why = error.strerror or str(error)
        return None, f"{TENSORS_FILE} cannot be read ({why}), so its tensors are not compared."
    if is_there:
        return read_whole_safetensors(tensors), None
    if os.path.lexists(tensors):
        return None, f"{TENSORS_FILE} is not a regular file, so its tensors are not compared."
    for name in PICKLES:
        if _is_file(config.parent / name):
            return None, (
                f"{name} is a pickle, which can run any code when it is opened, so its tensors are"
                f" not compared; save the adapter as {TENSORS_FILE}."
            )
    return None, None
