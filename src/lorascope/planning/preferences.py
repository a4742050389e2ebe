"""What a plan has to fit into, what may be given up for that, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lorascope.core.argument import named, quoted
from lorascope.core.errors import PlanError
from lorascope.core.numbers import MOST_BYTES
from lorascope.core.plan import Advice

TRADES = ("checkpointing", "batch", "rank", "quantization", "roles")
"""What may be given up, the cheapest first: a later one is touched only where all before it, taken
together, are not enough. `GROUNDS` says why the order is this."""

DEFAULT_TRADES = ("checkpointing", "batch", "rank")
"""What is traded unless said otherwise: what leaves the base model and the choice of roles as they
were asked. The rank is not among them where the request states one."""

DROPS: Sequence[tuple[str, ...]] = (("k",), ("down",), ("q",), ("gate", "up"))
"""Words of roles in the order in which they are dropped, each step on top of those before it; o
and v stay. A fused projection goes only once all of its parts have gone."""

_QLORA = "QLoRA (arXiv:2305.14314)"
_REGRET = "LoRA Without Regret (Thinking Machines Lab, 2025)"
_LORA = "LoRA (arXiv:2106.09685), table 5"

GROUNDS: Mapping[str, Advice] = {
    "checkpointing": Advice(
        "Gradient checkpointing comes first: the gradients stay what they are, at the cost of one"
        " more forward pass.",
        "paper",
        "Chen et al. (arXiv:1604.06174)",
    ),
    "batch": Advice(
        "A smaller batch with gradient accumulation takes the same tokens per optimizer step: the"
        " same update, where the trainer averages the loss over all of them.",
        "second-hand",
        "transformers documentation, Gradient accumulation",
    ),
    "rank": Advice(
        "When parameters are short, lower the rank before dropping the feed-forward; alpha/r is"
        " kept, so that the scale stays.",
        "paper",
        _REGRET,
    ),
    "quantization": Advice(
        "An nf4 base preserved the task performance of 16-bit fine-tuning, with LoRA on every"
        " linear layer. It changes the base model, so it comes after what does not.",
        "paper",
        _QLORA,
    ),
    "k": Advice("Dropping k is sound and cheap: q and v without it hold up.", "paper", _LORA),
    "down": Advice(
        "Short of memory: down last, because it keeps the widest input.",
        "second-hand",
        "Amazon Nova note; measured bytes",
    ),
    "q": Advice("Short of memory: o and v first.", "second-hand", "Amazon Nova note"),
    "gate": Advice(
        "The feed-forward goes last: with the same number of parameters attention alone lost to"
        " it.",
        "paper",
        _REGRET,
    ),
}
"""Why a thing is given up where it is: by trade, and for roles by the first word of each drop."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a plan has to keep to. None means: no limit.

    Raises:
        PlanError: A value is not one that its field takes; the message names field and option.
    """

    max_memory: int | None = None
    """Bytes of one device, for the predicted peak and the estimated overhead together."""
    max_params: int | None = None
    """Most trainable parameters. Beside a rank or scores it limits; alone it chooses the rank, as
    `PlanRequest.max_params` does."""
    trade: tuple[str, ...] | None = None
    """Which of `TRADES` may be given up; their order here says nothing. None: `DEFAULT_TRADES`."""

    def __post_init__(self) -> None:
        _whole("max_memory", self.max_memory, MOST_BYTES, "a number of bytes")
        _whole("max_params", self.max_params, 10**15, "a whole number")
        if self.trade is not None and not isinstance(self.trade, tuple):
            raise PlanError(f"{_TRADE} is {quoted(self.trade)}; expected a tuple.", _TRADE_HINT)
        for each in self.trade or ():
            if each not in TRADES:
                raise PlanError(
                    f"{_TRADE} holds {quoted(each)}; expected some of {', '.join(TRADES)}.",
                    _TRADE_HINT,
                )
            if (self.trade or ()).count(each) > 1:
                raise PlanError(f"{_TRADE} holds {quoted(each)} twice; expected it once.")
        if self.trade is not None and self.max_memory is None:
            raise PlanError(
                "--trade is given without --max-memory.",
                "It says what may be given up to keep to --max-memory.",
            )


def trades_from(trade: object) -> tuple[str, ...] | None:
    """Return trades given as text (`rank`, `rank,batch`) or as a list of words.

    Raises:
        PlanError: They are neither.
    """
    if trade is None:
        return None
    if isinstance(trade, str):
        return tuple(word.strip() for word in trade.split(",") if word.strip())
    if isinstance(trade, (bytes, Mapping)) or not isinstance(trade, Iterable):
        raise PlanError(
            f"{_TRADE} is {quoted(trade)}; expected a list of words or text.", _TRADE_HINT
        )
    return tuple(trade)


_TRADE = named("trade")
_TRADE_HINT = "For example checkpointing,batch,quantization."


def _whole(argument: str, value: object, most: int, what: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise PlanError(
            f"{named(argument)} is {quoted(value)}; expected {what} from 1 to {most:,}."
        )
