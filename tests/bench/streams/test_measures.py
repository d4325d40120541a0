"""Lags and tails as they follow from what a client saw."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.streams.measures import Reply, StreamLog, reply_of, waits

ALWAYS = (0.0, 1e9)
LIMIT = 0.8


def log(replies: list[Reply], audio_ms: float = 3000.0, mode: str = "online") -> StreamLog:
    """A stream that began at 100 s and was answered 0.3 s after its end."""
    ended = 100.0 + audio_ms / 1000
    return StreamLog(mode, audio_ms, 100.0, replies, ended, ended + 0.3, ended + 0.3)


def partials(*at: float) -> list[Reply]:
    return [Reply(100.0 + moment, final=False) for moment in at]


def test_each_partial_belongs_to_its_stride() -> None:
    found = waits(log(partials(0.7, 1.4, 2.0, 2.7, 3.1)), ALWAYS, LIMIT)
    assert found.lags == pytest.approx((0.1, 0.2, 0.2, 0.3, 0.1))
    assert found.tails == pytest.approx((0.3,))
    assert found.unanswered == 0


def test_a_server_that_falls_behind_by_strides_is_not_taken_for_a_quick_one() -> None:
    found = waits(replace(log(partials(1.3, 2.5, 3.7, 4.9, 6.1)), answered_at=106.2), ALWAYS, LIMIT)
    assert found.lags == pytest.approx((0.7, 1.3, 1.9, 2.5, 3.1))
    assert found.tails == pytest.approx((3.2,))


def test_what_follows_the_end_belongs_to_the_tail() -> None:
    found = waits(log(partials(0.7, 1.3, 1.9, 2.5, 3.1, 3.2)), ALWAYS, LIMIT)
    assert len(found.lags) == 5


def test_where_strides_were_left_out_the_last_one_spoken_is_taken() -> None:
    found = waits(log(partials(0.7, 3.1)), ALWAYS, LIMIT)
    assert found.lags == pytest.approx((0.1, 0.1))


def test_a_servers_own_word_on_what_a_partial_needed_is_taken() -> None:
    said = [replace(reply, needed_ms=ms) for reply, ms in zip(partials(0.7, 2.0), (600.0, 1440.0), strict=True)]
    assert waits(log(said), ALWAYS, LIMIT).lags == pytest.approx((0.1, 0.56))


def test_a_sample_is_there_with_its_whole_frame() -> None:
    found = waits(log(partials(0.7, 1.3, 1.9, 2.5)), ALWAYS, LIMIT, extra_ms=35.0)
    assert found.lags == pytest.approx((0.04, 0.04, 0.04, 0.04))


def test_in_2pass_the_final_says_where_its_partials_began() -> None:
    replies = [
        *partials(1.5, 2.2),
        Reply(103.0, final=True, begin_ms=480.0),
        *partials(4.3),
        Reply(105.0, final=True, begin_ms=3300.0),
        *partials(5.5),
    ]
    found = waits(log(replies, audio_ms=6000.0, mode="2pass"), ALWAYS, LIMIT)
    assert found.lags == pytest.approx((0.42, 0.52, 0.4))


def test_only_what_was_spoken_within_the_window_counts() -> None:
    found = waits(log(partials(0.7, 1.4, 2.0, 2.7, 3.1)), (101.0, 102.0), LIMIT)
    assert found.lags == pytest.approx((0.2, 0.2))
    assert found.tails == ()


def test_strides_without_an_answer_count_once_they_are_past_the_limit() -> None:
    stuck = replace(log(partials(0.7)), ended_at=None, answered_at=None, left_at=103.0)
    found = waits(stuck, ALWAYS, LIMIT)
    assert found.lags == pytest.approx((0.1, 1.8, 1.2)), "those spoken at 1.2 s and 1.8 s; 2.4 s is not past the limit"
    assert found.unanswered == 2


def test_a_tail_that_never_came_counts_as_long_as_it_was_waited_for() -> None:
    found = waits(replace(log([], mode="2pass"), answered_at=None, left_at=113.0), ALWAYS, LIMIT)
    assert found.tails == pytest.approx((10.0,))
    assert found.unanswered == 1


def test_messages_of_both_servers_are_read() -> None:
    ours = {"text": "x", "is_final": True, "start": 480, "stamp_sents": [{"start": 510, "end": 900}]}
    assert reply_of(ours, 1.0, final=True) == Reply(1.0, final=True, begin_ms=480.0)
    assert reply_of({"text": "x", "needed_ms": 600}, 1.0, final=False) == Reply(1.0, final=False, needed_ms=600.0)
    assert reply_of({"text": "", "stamp_sents": []}, 1.0, final=True) == Reply(1.0, final=True)
