"""How a user names a serving engine: `vllm`, or with the version that is meant, `vllm@0.33.0`."""

from __future__ import annotations

from collections.abc import Iterable

from lorascope.core.errors import SpecificationError
from lorascope.serving.engines import Engine, Scale, engines


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
            f"Ask for {name}@{engine.version}, or for {name} and compare the versions."
            f"{_known_of_older(engine)}",
        )
    return name


def asked_engines(texts: Iterable[str] | str) -> tuple[str, ...]:
    """Return the names of the engines, each once; see `asked_engine`.

    Args:
        texts: Names, or one text of names with commas between them.
    """
    return tuple(dict.fromkeys(map(asked_engine, listed(texts))))


def listed(texts: Iterable[str] | str) -> tuple[str, ...]:
    """Take a text apart at its commas; names that are listed already stay as they are."""
    return tuple(texts.split(",")) if isinstance(texts, str) else tuple(texts)


def _known_of_older(engine: Engine) -> str:
    older = engine.older
    if older is None:
        return ""
    return (
        f" Of other releases this is known: those {older.version} {_SCALES[older.scale]};"
        f" newer ones {_SCALES[engine.scale]}."
    )


_SCALES = {
    Scale.AS_TRAINED: "scale each module as trained, rank_pattern and alpha_pattern read",
    Scale.ONE_FOR_ALL: "scale every module by the global lora_alpha and r",
    Scale.ONE_FOR_ALL_WITHOUT_RSLORA: "scale every module by the global lora_alpha / r",
    Scale.BY_TENSOR_RANK: "divide the global lora_alpha by the rank of each tensor",
}
