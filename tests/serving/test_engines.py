"""The engines' limits as data."""

from __future__ import annotations

from importlib.resources import files

import pytest

from lorascope.serving.engines import Feature, engines, read_engines

TEXT = files("lorascope.serving").joinpath("engines.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('title = "vLLM"', 'title = "vLLM"\nextra = 1', "extra"),
        ('scale = "one-for-all"', 'scale = "other"', "other"),
        ('refuses = ["dora"', 'refuses = ["unknown"', "unknown"),
        ("ranks = [1, 8", "ranks = [8, 1", "ranks"),
    ],
)
def test_the_schema_is_closed(old: str, new: str, error: str) -> None:
    assert old in TEXT
    with pytest.raises(ValueError, match=error):
        read_engines(TEXT.replace(old, new))


@pytest.mark.parametrize("name", list(engines()))
def test_every_row_names_what_was_read(name: str) -> None:
    engine = engines()[name]
    assert engine.name == name
    assert engine.shown == f"{engine.title} {engine.version}"
    assert any(character.isdigit() for character in engine.version)
    assert all(": " in source for source in engine.source)


@pytest.mark.parametrize("name", list(engines()))
def test_nothing_is_both_refused_and_left_out(name: str) -> None:
    engine = engines()[name]
    assert not engine.refuses & engine.ignores
    assert not engine.needs.keys() & (engine.refuses | engine.ignores)
    assert bool(engine.names) == bool(engine.paths)
    assert not engine.saves or Feature.MODULES_TO_SAVE in engine.refuses
