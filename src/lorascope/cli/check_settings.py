"""Settings of `lorascope check` in a project's `pyproject.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lorascope.cli.usage import UsageError, did_you_mean
from lorascope.core.errors import LorascopeError
from lorascope.core.finding import Severity
from lorascope.source.config_file import read_bounded

_LARGEST = 1_000_000
_FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """The table `[tool.lorascope]`. None: not set there."""

    select: tuple[str, ...] | None = None
    """Rules to run: codes, beginnings of codes, or names."""
    ignore: tuple[str, ...] | None = None
    """Rules to leave out."""
    severity: str | None = None
    """Least severity that leads to exit code 1."""
    serve: tuple[str, ...] | None = None
    """Serving engines whose limits count."""
    path: Path | None = field(default=None, compare=False)
    """The file; None if there is none."""

    def where(self, key: str) -> str:
        """Say where a key stands, for messages."""
        return f"{self.path or _FILE}: {key} of [tool.lorascope]"


def read_settings(start: Path) -> Settings:
    """Read the nearest `pyproject.toml` with such a table, from `start` upwards.

    Raises:
        UsageError: It cannot be read, or a key or value is not one of those above.
    """
    here = start.absolute()
    for folder in (here, *here.parents):
        path = folder / _FILE
        if _is_file(path):
            table = _table(path)
            if table is not None:
                return _settings(table, path)
    return Settings()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a directory that may not be looked into
        return False


def _table(path: Path) -> Mapping[str, Any] | None:
    import tomllib

    try:
        content = tomllib.loads(read_bounded(path, _LARGEST).decode("utf-8"))
    except LorascopeError as error:
        raise UsageError(error.what, "Mend it, or leave it out with --isolated.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is not valid TOML: {error}.", "Mend it, or leave it out with --isolated."
        ) from error
    tools = content.get("tool", {})
    if not isinstance(tools, Mapping) or "lorascope" not in tools:
        return None
    table = tools["lorascope"]
    if not isinstance(table, Mapping):
        raise UsageError(f"{path}: tool.lorascope is {table!r}; expected a table [tool.lorascope].")
    return table


def _settings(table: Mapping[str, Any], path: Path) -> Settings:
    known = [each.name for each in fields(Settings) if each.compare]
    for key, value in table.items():
        if key not in known:
            raise UsageError(
                f"{path}: [tool.lorascope] has no key {key!r}.{did_you_mean(key, known)}",
                f"Known keys are {', '.join(known)}.",
            )
        if key == "severity":
            if value not in list(Severity):
                raise UsageError(
                    f"{path}: severity is {value!r}; expected one of {', '.join(Severity)}."
                    f"{did_you_mean(value, Severity)}"
                )
        elif not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UsageError(f"{path}: {key} is {value!r}; expected a list of strings.")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    return Settings(**values, path=path)
