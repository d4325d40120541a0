"""Latency as a client sees it, from the times of frames and texts alone."""

from __future__ import annotations

import pytest

from asrpool.latency import HeardPartial, SentClock, partial_latencies

CHUNK = (5, 10, 5)


def real_time(milliseconds: int, frame_ms: int = 60) -> SentClock:
    """Audio sent in real time from second 0 on; each frame leaves when it is complete."""
    clock = SentClock()
    for end in range(frame_ms, milliseconds + 1, frame_ms):
        clock.sent(frame_ms, end / 1000)
    return clock


def test_the_clock_knows_when_each_millisecond_was_sent() -> None:
    clock = real_time(600)
    assert clock.sent_ms == 600
    assert clock.when(1) == 0.06
    assert clock.when(60) == 0.06
    assert clock.when(61) == 0.12
    assert clock.when(601) is None
    assert SentClock().when(1) is None


def test_without_times_the_last_whole_stride_counts() -> None:
    partials = [HeardPartial(0.65, 1), HeardPartial(1.9, 2)]
    assert partial_latencies(partials, real_time(3_000), CHUNK) == pytest.approx([0.05, 0.1])


def test_a_partial_before_the_first_stride_is_not_judged() -> None:
    assert partial_latencies([HeardPartial(0.5, 1)], real_time(3_000), CHUNK) == []


def test_strides_are_counted_from_the_utterances_begin() -> None:
    assert partial_latencies([HeardPartial(1.0, 1)], real_time(3_000), CHUNK, begin_ms=300) == pytest.approx([0.1])


@pytest.mark.parametrize(
    ("spoken_ms", "at", "latency"),
    [
        pytest.param(50, 0.65, 0.05, id="in the first stride, with its look-ahead"),
        pytest.param(200, 1.25, 0.05, id="too near to the first stride's end to tell: the second"),
        pytest.param(400, 1.25, 0.05, id="its look-ahead ends in the second stride"),
        pytest.param(50, 1.3, 0.7, id="late by more than a stride: seen, where a partial alone cannot tell"),
        pytest.param(2_900, 2.45, 0.05, id="there before its stride was sent: judged by the stride before"),
    ],
)
def test_the_finals_times_say_which_stride_was_needed(spoken_ms: float, at: float, latency: float) -> None:
    found = partial_latencies([HeardPartial(at, 1)], real_time(4_000), CHUNK, token_ends_ms=[spoken_ms])
    assert found == pytest.approx([latency])


def test_more_characters_than_times_fall_back_to_the_last_time() -> None:
    found = partial_latencies([HeardPartial(0.7, 5)], real_time(3_000), CHUNK, token_ends_ms=[40, 50])
    assert found == pytest.approx([0.1])
