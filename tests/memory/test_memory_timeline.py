"""From changes to the peak and its parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lorascope.memory.recorder import Birth, Phase, Place, Recording
from lorascope.memory.timeline import PARTS, Change, Timeline, timeline_of

FORWARD, BACKWARD = Place(Phase.FORWARD), Place(Phase.BACKWARD)
_SIZES = st.dictionaries(st.sampled_from(PARTS), st.integers(0, 9))
_CHANGES = st.lists(
    st.builds(Change, st.integers(-9, 9), st.sampled_from(PARTS), st.just(FORWARD)), max_size=30
)


@given(_SIZES, _CHANGES)
def test_the_parts_add_up_to_the_highest_moment(start: dict[str, int], changes: object) -> None:
    live = [sum(start.values())]
    for change in changes:
        live.append(live[-1] + change.size)
    parts, _ = Timeline(start, changes).peak()
    assert parts.total == max(live)


def test_the_first_of_equal_peaks_is_taken() -> None:
    places = [Place(Phase.FORWARD, block) for block in range(4)]
    sizes = (5, -5, 5, -5)
    changes = [Change(s, "temporary", p) for s, p in zip(sizes, places, strict=True)]
    assert Timeline({}, changes).peak()[1] == places[0]


def _recorded(*steps: tuple[int, bool, Place]) -> Recording:
    recording = Recording(events=list(steps))
    numbers = sorted({number for number, _, _ in steps})
    births = {number: place for number, is_birth, place in steps if is_birth}
    recording.births = [Birth(10, births[number], False, 0) for number in numbers]
    recording.forward_end = sum(place.phase is Phase.FORWARD for _, _, place in steps)
    return recording


def test_what_outlives_the_forward_pass_is_an_activation() -> None:
    recording = _recorded(
        (0, True, FORWARD), (1, True, FORWARD), (1, False, FORWARD), (0, False, BACKWARD)
    )
    timeline = timeline_of(recording, {}, frozenset())
    assert [change.part for change in timeline.changes] == [
        "activation",
        "temporary",
        "temporary",
        "activation",
    ]
    assert timeline.kept() == 10
    assert not any(timeline.end().values())


def test_gradients_weights_and_logits_are_told_apart() -> None:
    loss = Place(Phase.FORWARD, is_loss=True)
    recording = _recorded((0, True, FORWARD), (1, True, loss), (2, True, BACKWARD))
    timeline = timeline_of(recording, {0: "base"}, frozenset({2}))
    assert timeline.start["base"] == 10
    assert [change.part for change in timeline.changes] == ["logits", "gradient"]
    assert timeline.kept() == 0
