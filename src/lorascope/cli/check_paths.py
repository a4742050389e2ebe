"""Which of the positional arguments of `lorascope check` are files, and which one is MODEL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lorascope.cli.usage import UsageError

_RECIPES = (".yaml", ".yml", ".json", ".sh", ".bash")
"""Endings of files that name no model, whether they exist or not."""


def split_model(
    arguments: Sequence[str], model: str | None, *, takes_paths: bool
) -> tuple[list[str], str | None]:
    """Return the paths and the model.

    The last of several arguments is MODEL if nothing of that name exists, or if it is a model's
    directory, `config.json` or GGUF file; a name that ends as a training file does is a path.
    Without files (`--targets`) the only one is MODEL.

    Args:
        arguments: As given.
        model: What `--model` says; None if it is not given.
        takes_paths: Whether files are expected.

    Raises:
        UsageError: A path is missing or empty, or one argument is too many.
    """
    paths = list(arguments)
    if "" in paths:  # an unset variable of a script; as a path it would be this directory
        raise UsageError(
            "lorascope check: expected PATH or MODEL, got '', which names nothing.",
            "For the working directory write a dot: lorascope check .",
        )
    if model is None and paths and (not takes_paths or (len(paths) > 1 and _is_model(paths[-1]))):
        model = paths.pop()
    if takes_paths and not paths:
        raise UsageError(
            "lorascope check: expected PATH: an adapter, a training file, a directory, or -.",
            "See: lorascope check --help",
        )
    if not takes_paths and paths:
        raise UsageError(
            f"lorascope check: with --targets only MODEL is expected, got {paths[0]!r} as well.",
            "See: lorascope check --help",
        )
    return paths, model


def _is_model(argument: str) -> bool:
    path = Path(argument)
    try:
        if path.is_dir():
            has_adapter = (path / "adapter_config.json").is_file()
            return (path / "config.json").is_file() and not has_adapter
        if path.name == "config.json" or path.suffix == ".gguf":
            return True
        return argument != "-" and path.suffix not in _RECIPES and not path.exists()
    except (OSError, ValueError):  # a name that the file system cannot hold
        return True
