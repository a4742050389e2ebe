"""Arguments that go beside the tokens of a text: masks, kinds, boxes, second texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from lorascope.observe.inputs.facts import Facts
from lorascope.observe.inputs.tokens import text_tokens

Maker = Callable[[Facts, torch.Tensor, Mapping[int, int]], Any]


def _kinds(_facts: Facts, text: torch.Tensor, kinds: Mapping[int, int]) -> torch.Tensor:
    """Return the kind of each token: 0 for text, else that of the modality."""
    made = torch.zeros_like(text)
    for token, kind in kinds.items():
        made[text == token] = kind
    return made


def _image_places(facts: Facts, text: torch.Tensor, _kinds: Mapping[int, int]) -> torch.Tensor:
    """Return which tokens are replaced by features (Kosmos): as many as there are features."""
    made = torch.zeros_like(text, dtype=torch.bool)
    made[:, 1 : 1 + facts.setting("latent_query_num", default=1)] = True
    return made


def _boxes(_facts: Facts, text: torch.Tensor, _kinds: Mapping[int, int]) -> torch.Tensor:
    return torch.zeros((*text.shape, 4), dtype=torch.long)


def _image_mask(_facts: Facts, text: torch.Tensor, _kinds: Mapping[int, int]) -> torch.Tensor:
    return torch.ones((*text.shape, 1), dtype=torch.long)


def _first_language(_facts: Facts, text: torch.Tensor, _kinds: Mapping[int, int]) -> torch.Tensor:
    return torch.zeros(text.shape[:1], dtype=torch.long)


def _state(facts: Facts, _text: torch.Tensor, _kinds: Mapping[int, int]) -> torch.Tensor | None:
    """Return the state of a robot (PI0); None for a class that keeps another kind (RWKV)."""
    width = facts.setting("max_state_dim")
    return None if width is None else torch.ones((1, width), dtype=facts.dtype)


BESIDE: Mapping[str, Maker] = {
    "bbox": _boxes,
    "image_attention_mask": _image_mask,
    "image_embeds_position_mask": _image_places,
    "lang_ids": _first_language,
    "mm_token_type_ids": _kinds,
    "moe_mm_token_type_ids": _kinds,
    "state": _state,
}
"""Argument of forward → what it is given beside the text."""

SECOND_TEXTS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "protein_attention_mask": torch.ones_like,
    "protein_input_ids": torch.clone,
    "qformer_attention_mask": torch.ones_like,
    "qformer_input_ids": torch.clone,
}
"""Argument of forward → what it is given, made of a text of its own."""


def beside_text(
    facts: Facts, text: torch.Tensor | None, kinds: Mapping[int, int]
) -> dict[str, Any]:
    """Return the arguments beside a text.

    Args:
        facts: Of the model.
        text: Token ids of shape (1, length); None for those arguments that need none.
        kinds: Token → number of the modality whose features go in its places.
    """
    own = text_tokens(facts)
    given: dict[str, Any] = {n: make(own) for n, make in SECOND_TEXTS.items() if facts.takes(n)}
    if text is not None:
        given |= {n: make(facts, text, kinds) for n, make in BESIDE.items() if facts.takes(n)}
    return {name: value for name, value in given.items() if value is not None}
