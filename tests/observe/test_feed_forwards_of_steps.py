"""Feed-forward blocks among hand-written steps: what tells them, and what does not."""

from __future__ import annotations

from lorascope.core.roles import Role
from lorascope.observe.feed_forward_roles import feed_forward_roles
from lorascope.observe.feed_forwards import FeedForward, feed_forwards_of
from lorascope.observe.flow import Flow, Read, Step

LEFT, RIGHT = (0, (8, 4), (8, 1)), (4, (8, 4), (8, 1))
"""Two halves of an output of eight features."""


def step(name: str, *reads: int | Read, layer: str | None = None) -> Step:
    values = tuple(read if isinstance(read, Read) else Read(read) for read in reads)
    return Step(name, values, layer)


HIDDEN = step("embedding", layer="embedding")


def gated(*between: Step) -> Flow:
    """Steps 0 to 2: hidden states, `a` and `b` of them. The last of `between` is read by `c`."""
    start = (HIDDEN, step("mm", 0, layer="a"), step("mm", 0, layer="b"), *between)
    last = len(start)
    return Flow((*start, step("mm", last - 1, layer="c"), step("add", 0, last)))


def test_the_factor_that_is_activated_is_the_gate() -> None:
    seen = feed_forwards_of(gated(step("silu", 2), step("mul", 1, 3)))
    assert seen.blocks == {"c": FeedForward("b", "a", "c")}


def test_an_activation_may_be_made_of_products() -> None:
    """x·σ(x), then the other output."""
    seen = feed_forwards_of(gated(step("sigmoid", 2), step("mul", 2, 3), step("mul_", 4, 1)))
    assert seen.blocks == {"c": FeedForward("b", "a", "c")}


def test_a_product_without_an_activation_is_none() -> None:
    assert feed_forwards_of(gated(step("mul", 1, 2))).blocks == {}


def test_a_product_over_positions_is_none() -> None:
    """As in attention without a softmax."""
    assert feed_forwards_of(gated(step("silu", 2), step("bmm", 1, 3))).blocks == {}
    assert (
        feed_forwards_of(gated(step("cumsum", 1), step("silu", 2), step("mul", 3, 4))).blocks == {}
    )


def test_halves_of_one_output_are_gate_and_up() -> None:
    halves = Read(1, LEFT), Read(1, RIGHT)
    steps = (HIDDEN, step("mm", 0, layer="a"), step("gelu", halves[0]), step("mul", 2, halves[1]))
    flow = Flow((*steps, step("mm", 3, layer="c"), step("add_", 4, 0)))
    assert feed_forwards_of(flow).blocks == {"c": FeedForward("a", "a", "c")}


def test_what_is_not_added_to_its_input_is_a_head() -> None:
    steps = (HIDDEN, step("mm", 0, layer="a"), step("tanh", 1), step("mm", 2, layer="b"))
    assert feed_forwards_of(Flow(steps)).blocks == {}
    other = (step("embedding", layer="other"), step("add", 3, 4))
    assert feed_forwards_of(Flow((*steps, *other))).blocks == {}
    assert feed_forwards_of(Flow((*steps, step("add", 0, 3)))).blocks.keys() == {"b"}


def test_a_block_whose_output_is_weighed_by_the_choice_is_an_expert() -> None:
    steps = (
        HIDDEN,
        step("mm", 0, layer="router"),
        step("_softmax", 1),
        step("topk", 2),
        step("mm", 0, layer="up"),
        step("relu", 4),
        step("mm", 5, layer="down"),
        step("mul", 6, 3),
        step("add", 0, 7),
    )
    assert feed_forward_roles(feed_forwards_of(Flow(steps)), ()) == {
        "router": Role.MOE_ROUTER,
        "up": Role.MOE_EXPERTS_UP,
        "down": Role.MOE_EXPERTS_DOWN,
    }


def test_pooling_by_the_maximum_is_no_router_where_there_are_no_experts() -> None:
    # Hiera: the maximum of a projection's output is added to what an attention makes.
    steps = (HIDDEN, step("mm", 0, layer="proj"), step("max", 1), step("add", 0, 2))
    seen = feed_forwards_of(Flow(steps))
    assert feed_forward_roles(seen, ()) == {}
    assert feed_forward_roles(seen, ("experts.down_proj",)) == {"proj": Role.MOE_ROUTER}
