"""How a user names a serving engine: `vllm`, or with the version that is meant, `vllm@0.33.0`."""

from __future__ import annotations

from collections.abc import Iterable

from lorascope.core.errors import SpecificationError
from lorascope.serving.engines import engines


def asked_engine(text: str) -> str:
    """Return the name of the engine in `engines`.

    Raises:
        SpecificationError: lorascope knows nothing of it, or of that version.
    """
    name, at, version = text.strip().partition("@")
    name = name.casefold()
    engine = engines().get(name)
    if engine is None:
        raise SpecificationError(
            f"No serving engine is called {name!r}.", f"Known are {', '.join(engines())}."
        )
    if at and version.removeprefix("v") != engine.version:
        raise SpecificationError(
            f"{engine.title} {version!r} is not known; only {engine.version} was read.",
            f"Ask for {name}@{engine.version}, or for {name} and compare the versions.",
        )
    return name


def asked_engines(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the engines, each once; see `asked_engine`."""
    return tuple(dict.fromkeys(map(asked_engine, texts)))
