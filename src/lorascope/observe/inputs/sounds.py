"""Sounds, in the forms that classes take them in. One small function a form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from lorascope.observe.inputs.facts import Facts
from lorascope.observe.inputs.form import Form

SAMPLES = 16_000
"""Length of a waveform: one second."""
FRAMES = 64
"""Length of a spectrogram where the class does not fix it."""

_BANDS = (
    "num_mel_bins",
    "input_feat_per_channel",
    "feature_projection_input_dim",
    "input_feat_size",
    "feature_size",
    "input_dim",
    "n_mels",
    "mel_bins",
)
_MASKS = ("input_features_mask", "feature_attention_mask")


def _bands(facts: Facts) -> int:
    return int(facts.setting(*_BANDS, part="audio", default=80))


def _length(facts: Facts) -> int:
    positions = facts.setting("max_source_positions", "n_ctx", part="audio")
    if positions is not None:
        return 2 * int(positions)
    return FRAMES


def _spectrogram(facts: Facts, *shape: int, frames: int) -> dict[str, Any]:
    given: dict[str, Any] = {"input_features": torch.ones(shape, dtype=facts.dtype)}
    for name in _MASKS:
        if facts.takes(name):
            given[name] = torch.ones((1, frames), dtype=torch.long)
    return given


def _bands_first(facts: Facts) -> dict[str, Any]:
    """A spectrogram of fixed length, bands before frames (Whisper)."""
    frames = _length(facts)
    return _spectrogram(facts, 1, _bands(facts), frames, frames=frames)


def _frames_first(facts: Facts) -> dict[str, Any]:
    """A spectrogram of any length, frames before bands (Conformers)."""
    return _spectrogram(facts, 1, FRAMES, _bands(facts), frames=FRAMES)


def _windows(facts: Facts) -> dict[str, Any]:
    """A spectrogram of whole windows, bands before frames (Qwen ASR)."""
    frames = 2 * int(facts.setting("n_window", part="audio"))
    return _spectrogram(facts, 1, _bands(facts), frames, frames=frames)


def _stacked_frames(facts: Facts) -> dict[str, Any]:
    """The same with two frames in one (SeamlessM4T)."""
    return _spectrogram(facts, 1, FRAMES, 2 * _bands(facts), frames=FRAMES)


def _waveform(facts: Facts) -> dict[str, Any]:
    return {"input_values": torch.ones((1, SAMPLES), dtype=facts.dtype)}


def _waveform_with_channel(facts: Facts) -> dict[str, Any]:
    return {"input_values": torch.ones((1, 1, SAMPLES), dtype=facts.dtype)}


def _fixed_spectrogram(facts: Facts) -> dict[str, Any]:
    """A spectrogram of fixed length as the values (AST)."""
    return {"input_values": torch.ones((1, facts.setting("max_length"), _bands(facts)))}


def _unnamed_waveform(facts: Facts) -> dict[str, Any]:
    return {"inputs": torch.ones((1, SAMPLES), dtype=facts.dtype)}


FORMS = (
    Form(("input_features",), _windows, ("n_window",)),
    Form(("input_features",), _frames_first),
    Form(("input_features",), _bands_first),
    Form(("input_features",), _stacked_frames),
    Form(("input_values",), _fixed_spectrogram, ("max_length", "frequency_stride")),
    Form(("input_values",), _waveform),
    Form(("input_values",), _waveform_with_channel),
    Form(("inputs", "decoder_input_ids"), _unnamed_waveform),
)
"""Forms of sound inputs; of several that fit, the first that runs."""


def sound_forms(facts: Facts) -> Iterator[dict[str, Any]]:
    """Yield the arguments that carry one sound, in each form that the class may take."""
    if getattr(facts.config, "audio_config", ...) is not None:
        yield from (form.make(facts) for form in FORMS if form.fits(facts))
