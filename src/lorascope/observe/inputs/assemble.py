"""Put together the arguments of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from lorascope.build.failing import FAILURES, first_line
from lorascope.observe.deadline import Deadline
from lorascope.observe.inputs.beside import beside_text
from lorascope.observe.inputs.facts import Facts, facts_of
from lorascope.observe.inputs.features import feature_count, method_of
from lorascope.observe.inputs.images import image_forms
from lorascope.observe.inputs.sounds import sound_forms
from lorascope.observe.inputs.tokens import TEXT, placeholder, text_tokens
from lorascope.observe.known_values import TooSlowError, known_values

TRIAL_SECONDS = 15.0
"""A trial of one choice of inputs is cut after so much computing; what ran until then will do."""
MOST_FORMS = 3
"""Forms of one modality that are tried on the whole model."""


class NoInputsError(Exception):
    """No inputs are known for this class; the text says what it takes."""


class Inputs(dict[str, Any]):
    """Arguments of one forward pass."""

    left_out: tuple[str, ...] = ()
    """What the class takes besides but was not given, and why."""
    filled: Mapping[str, int] = MappingProxyType({})
    """Fields that the config leaves open, and what the inputs need there: `fill_in` sets them."""


@dataclass(frozen=True, slots=True)
class Modality:
    """A kind of input beside text."""

    name: str
    forms: Callable[[Facts], Iterator[dict[str, Any]]]
    methods: tuple[str, ...]
    """Methods of a model that turn it into features."""
    tokens: tuple[str, ...]
    """Fields of a config that may hold the token in whose places the features go."""
    kind: int
    """Number of this kind in `mm_token_type_ids`."""


MODALITIES = (
    Modality(
        "image",
        image_forms,
        ("get_image_features", "get_video_features"),
        ("image_token_id", "image_token_index", "image_patch_id", "video_token_index"),
        1,
    ),
    Modality(
        "audio",
        sound_forms,
        ("get_audio_features",),
        ("audio_token_id", "audio_token_index"),
        3,
    ),
)


def inputs_for(model: nn.Module, device: str, seconds: float = 60.0) -> Inputs:  # noqa: ARG001 - see below
    """Return keyword arguments for one forward pass: text, and what else the class takes.

    The tensors lie on the CPU and have values, also for a model on meta: it runs on them inside
    `known_values`. Of several forms that a class may take an image or a sound in, the first is
    taken that its own code runs with.

    Args:
        model: A copy of a transformers model, without weights; parts of it may be run.
        device: Where its weights are: `meta` or `cpu`.
        seconds: Computing time for all trials together; what comes after it is taken untried.

    Raises:
        NoInputsError: Its forward takes nothing that is known here.
    """
    facts = facts_of(model)
    clock = _Clock(Deadline(seconds))
    found = [_Found(modality, facts, clock) for modality in MODALITIES]
    candidates = [list(each.candidates()) for each in found]
    choices = [_whole(facts, chosen) for chosen in product(*candidates)]
    if facts.takes("input_ids") and any(given.arguments for given, *_ in candidates):
        choices.append(_whole(facts, ()))
    inputs, failure = _first_that_runs(model, choices, clock)
    reasons = [each.left_out for each in found if each.left_out]
    if failure and inputs is choices[-1]:
        reasons.append(f"all but text: {failure}")
    inputs.left_out = tuple(reasons)
    inputs.filled = facts.filled
    if not inputs.keys() - {"use_cache"}:
        takes = ", ".join(sorted(facts.names)[:4])
        raise NoInputsError(f"its forward takes no input_ids but {takes}")
    return inputs


@dataclass(frozen=True, slots=True)
class _Given:
    """One modality in one form, and the places that it takes in the text."""

    arguments: dict[str, Any]
    places: tuple[int, ...] = ()
    kind: int = 0


@dataclass(frozen=True, slots=True)
class _Clock:
    """When the trials end."""

    end: Deadline

    def for_a_trial(self) -> float:
        """Return the computing time that the next trial may take."""
        return min(TRIAL_SECONDS, self.end.left)


class _Found:
    """What is found out about one modality of one model."""

    def __init__(self, modality: Modality, facts: Facts, clock: _Clock) -> None:
        self._modality = modality
        self._facts = facts
        self._clock = clock
        self.left_out = ""

    def candidates(self) -> Iterator[_Given]:
        """Yield the forms to try: those whose features could be made, or each where none tells."""
        with known_values():  # which bounds what the sizes of a config ask for
            forms = list(self._modality.forms(self._facts))
        method = method_of(self._facts.model, *self._modality.methods) if forms else None
        if method is None:
            yield from (self._given(form, 0) for form in forms or [{}])
            return
        failure = ""
        made = 0
        for form in forms:
            given = form | beside_text(self._facts, None, {})
            try:
                count = feature_count(method, given, self._clock.for_a_trial())
            except FAILURES as error:
                failure = failure or first_line(error, 160)
                continue
            yield self._given(form, count)
            made += 1
            if made == MOST_FORMS:
                return
        if not made:
            self.left_out = f"{self._modality.name}: {failure}"
            yield _Given({})

    def _given(self, form: dict[str, Any], count: int) -> _Given:
        if not form or not self._facts.takes("input_ids"):
            return _Given(form)
        token = placeholder(self._facts, self._modality.tokens)
        places = () if token is None else (token,) * max(count, 1)
        return _Given(form, places, self._modality.kind)


def _whole(facts: Facts, chosen: Iterable[_Given]) -> Inputs:
    inputs = Inputs()
    places = []
    for given in chosen:
        inputs.update(given.arguments)
        if given.places:
            places.append(given)
    text = text_tokens(facts, [given.places for given in places])
    if facts.takes("input_ids"):
        inputs["input_ids"] = text
    if facts.takes("decoder_input_ids"):
        inputs["decoder_input_ids"] = text_tokens(facts)
    elif facts.takes("input_ids"):
        inputs.update(_encoder_states(facts))
    kinds = {given.places[0]: given.kind for given in places}
    inputs.update(beside_text(facts, text, kinds))
    if facts.takes("use_cache"):
        inputs["use_cache"] = False
    return inputs


def _first_that_runs(model: nn.Module, choices: list[Inputs], clock: _Clock) -> tuple[Inputs, str]:
    """Return the choice to take and why the first one was not taken.

    The only choice is taken unseen; of several, the first with which the whole model runs, or
    the first where none does.
    """
    failure = ""
    if len(choices) > 1:
        for choice in choices:
            try:
                with torch.no_grad(), known_values(clock.for_a_trial()):
                    model(**choice)
            except TooSlowError:
                return choice, ""
            except FAILURES as error:
                failure = failure or first_line(error, 160)
            else:
                return choice, failure
    return choices[0], ""


def _encoder_states(facts: Facts) -> dict[str, Any]:
    """Return states to attend to for a decoder that has cross-attention."""
    width = getattr(facts.config, "hidden_size", None)
    names = ("encoder_attn", "crossattention", "cross_attn", "cross_attention")
    crosses = any(path.rpartition(".")[2] in names for path, _ in facts.model.named_modules())
    if not crosses or not isinstance(width, int):
        return {}
    states = torch.ones((1, TEXT, width), dtype=facts.dtype)
    if facts.takes("encoder_hidden_states"):
        return {"encoder_hidden_states": states}
    return {"encoder_outputs": (states,)} if facts.takes("encoder_outputs") else {}
