"""What is known of where LoRA should go, as data: one row a claim, with its ground and source.

Grounds: `paper` (the paper's own words or abstract were read), `measured` (by this project),
`second-hand`, `unverified` (named, not checked), `weak`, `none`. No text claims more than its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lorascope.core.plan import Advice

_REGRET = "LoRA Without Regret (Thinking Machines Lab, 2025)"
_LORA = "LoRA (arXiv:2106.09685), table 5"
_QLORA = "QLoRA (arXiv:2305.14314)"
_BIDERMAN = "Biderman et al. (arXiv:2405.09673)"


@dataclass(frozen=True, slots=True)
class Task:
    """What is advised for one kind of training."""

    preset: str
    rank: int
    advice: tuple[Advice, ...]
    divide_experts: bool = True
    """Whether routed experts get the rank divided by the experts active for a token."""


_RANK_UNGROUNDED = "The rank {rank} itself is a starting point; no controlled comparison chose it."
_ALL_LINEAR = (
    Advice(
        "All linear layers: with the same number of parameters, attention at r = 256 lost to the"
        " feed-forward at r = 128. When parameters are short, lower the rank before dropping the"
        " feed-forward.",
        "paper",
        _REGRET,
    ),
    Advice("LoRA on every linear layer was needed to match full fine-tuning.", "paper", _QLORA),
    Advice("Learning rate: about 10 times that of full fine-tuning.", "unverified", _REGRET),
)
_ALL_OVER_MLP = Advice(
    "All linear layers were better than the feed-forward alone, and that better than attention"
    " alone.",
    "second-hand",
    _BIDERMAN,
)
_HIGHER_RANK = Advice(
    "New knowledge or a new language: feed-forward heavy or all linear layers, at a higher rank."
    " No source says which rank; 32 is a starting point.",
    "second-hand",
    _BIDERMAN,
)


def _rank_advice(rank: int) -> Advice:
    return Advice(_RANK_UNGROUNDED.format(rank=rank), "none")


TASKS: Mapping[str, Task] = {
    "classification": Task(
        "qv",
        8,
        (
            Advice(
                "Classification: q and v, the classifier head trained whole. Whether attention"
                " alone is enough is unproven: race it against all-linear.",
                "weak",
                "EVA's learned ranks on GLUE go to the upper q, k, v [paper]; AdaLoRA found the"
                " feed-forward better on MNLI [unverified]",
            ),
            _rank_advice(8),
        ),
    ),
    "instruction": Task("all-linear", 8, (*_ALL_LINEAR, _rank_advice(8))),
    "math": Task("all-linear", 8, (*_ALL_LINEAR, _ALL_OVER_MLP, _rank_advice(8))),
    "code": Task("all-linear", 8, (*_ALL_LINEAR, _ALL_OVER_MLP, _rank_advice(8))),
    "knowledge": Task("all-linear", 32, (_ALL_OVER_MLP, _HIGHER_RANK)),
    "style": Task(
        "all-linear",
        8,
        (
            Advice(
                "Style: no evidence either way on whether it wants the feed-forward. The preset is"
                " the one advised for instructions, for lack of a better ground.",
                "none",
            ),
            _rank_advice(8),
        ),
    ),
    "rl": Task(
        "all-linear",
        8,
        (
            Advice(
                "Reinforcement learning: all linear layers, ranks from 1 to 32.",
                "unverified",
                _REGRET,
            ),
            Advice(
                "Uniform ranks: proportional ranks lost (70.0 against 74.5).",
                "unverified",
                "arXiv:2605.07366",
            ),
            _rank_advice(8),
        ),
        divide_experts=False,
    ),
    "domain": Task("all-linear", 32, (_ALL_OVER_MLP, _HIGHER_RANK)),
}
"""Advice by task. `domain` is new knowledge of a field: the same ground as `knowledge`."""

PRESET_ADVICE: Mapping[str, tuple[Advice, ...]] = {
    "qv": (
        Advice(
            "q and v without k is sound and cheap (WikiSQL / MNLI on GPT-3, 18 M parameters: q,v"
            " 73.7 / 91.3; k alone 70.0 / 90.8); best quality it is not (q,k,v,o at r = 2:"
            " 73.7 / 91.7).",
            "paper",
            _LORA,
        ),
    ),
    "extended": (
        Advice(
            "q, v at r = 8 with the feed-forward at r = 4 is untested: nothing was found for or"
            " against it. A good default to race against.",
            "none",
        ),
    ),
    "attention": (
        Advice(
            "With the same number of parameters, attention at r = 256 lost to the feed-forward at"
            " r = 128.",
            "paper",
            _REGRET,
        ),
    ),
    "ffn": (
        Advice(
            "With the same number of parameters, the feed-forward at r = 128 beat attention at"
            " r = 256.",
            "paper",
            _REGRET,
        ),
        _ALL_OVER_MLP,
    ),
    "vod": (
        Advice(
            "Short of memory: o and v first, down last.",
            "second-hand",
            "Amazon Nova note; measured bytes",
        ),
    ),
    "all-linear": (
        Advice("LoRA on every linear layer was needed to match full fine-tuning.", "paper", _QLORA),
    ),
}
"""What is known of a preset itself."""

MIXED_RANKS = frozenset(PRESET_ADVICE["extended"])
"""What is said of ranks that differ."""
EVERY_LINEAR = frozenset((*_ALL_LINEAR[:2], _ALL_OVER_MLP, *PRESET_ADVICE["all-linear"]))
"""What holds of LoRA on every linear layer alone."""

EXPERTS_ADVICE = Advice(
    "Routed experts: the rank divided by the experts active for a token, the router frozen.",
    "paper",
    f"{_REGRET}; MoE-Sieve (arXiv:2603.24044)",
)
STATE_SPACE_ADVICE = Advice(
    "State-space layers: the linear projections, not the scan's own parameters.",
    "paper",
    "arXiv:2410.09016",
)
HYBRID_ADVICE = Advice(
    "Hybrid model: no rule on placement survives (10 of 534 comparisons survive correction)."
    " Measure.",
    "unverified",
    "arXiv:2604.22127, which withdrew its placement claims",
)
VISION_ADVICE = Advice(
    "Vision-language model: the language tower; image tower and aligner stay frozen unless asked.",
    "unverified",
    "defaults of ms-swift",
)
RACE_ADVICE = Advice(
    "Encoder-decoder model: nothing controlled was found on placement. Race presets.", "none"
)
SERVING_ADVICE = Advice(
    "Compare a served adapter with target_parameters to PEFT's answers, or merge it: vLLM and"
    " SGLang have dropped the tensors of expert parameters without a word.",
    "second-hand",
    "vLLM pull request 41384; SGLang pull request 27381",
)
