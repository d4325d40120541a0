"""One stream's state machine, driven by hand: the same audio gives the same events, however it comes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asrpool_worker.engine.messages import Ended, Event, Failed, Final, Mode, Partial, Samples, StreamOptions
from asrpool_worker.engine.model_set import ModelSet
from asrpool_worker.engine.options import Limits, check_options
from asrpool_worker.engine.recogniser import Recognised
from asrpool_worker.engine.scheduler import Stage
from asrpool_worker.engine.stream_state import StreamState
from tests.worker.engine.conftest import babble
from tests.worker.engine.listening import told
from tests.worker.engine.test_engine import running, talk

SHAPE = check_options(StreamOptions())


@pytest.fixture(scope="module", params=[True, False], ids=["vad", "no vad"])
def models(
    request: pytest.FixtureRequest, random_online: Path, random_offline: Path, random_vad: Path
) -> Iterator[ModelSet]:
    with running(random_online, random_offline, random_vad if request.param else None) as bench:
        yield bench.models


def stream_of(models: ModelSet, mode: Mode) -> StreamState:
    return StreamState(
        0,
        "session",
        StreamOptions(mode=mode),
        SHAPE,
        models,
        Limits(max_utterance_seconds=4.0, max_backlog_seconds=60.0),
        _deaf,
    )


def work(stream: StreamState, now: float = 0.0) -> list[Event]:
    """Run all that the stream is ready for."""
    events: list[Event] = []
    framing = True
    while framing:
        framing = stream.frame_some()
        while True:
            job = stream.next_job()
            if job is None:
                events += stream.settle()
                job = stream.next_job()
            if job is None:
                break
            if job.stage is Stage.VAD:
                events += stream.on_vad(*stream.models.needed_vad.step([stream.vad_row()])[0], now)
            elif job.stage is Stage.ONLINE:
                events += stream.on_online(stream.models.needed_online.step([stream.online_row()])[0], now)
            else:
                events += stream.on_offline(stream.models.needed_offline.run([stream.finals.offline_row()])[0], now)
    return events


def hear(models: ModelSet, mode: Mode, samples: Samples, cuts: list[int]) -> list[Event]:
    """Feed `samples` cut at `cuts`, doing all work after each piece; then finish."""
    stream = stream_of(models, mode)
    events: list[Event] = []
    edges = [0, *sorted(cut % (len(samples) + 1) for cut in cuts), len(samples)]
    for begin, end in pairwise(edges):
        assert stream.accept(samples[begin:end], 0.0) is None
        events += work(stream)
    stream.finish(0.0)
    events += work(stream)
    stream.release()
    return events


@pytest.mark.parametrize("mode", Mode)
@given(
    seed=st.integers(0, 1000),
    stretches=st.lists(st.tuples(st.floats(0.1, 2.5), st.floats(0.0, 1.5)), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 200_000), max_size=30),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_follow_from_the_audio_alone(
    models: ModelSet, mode: Mode, seed: int, stretches: list[tuple[float, float]], cuts: list[int]
) -> None:
    """All at once, in 60 ms frames as devices send, or cut anywhere."""
    samples = talk(seed, *stretches)
    at_once = told(hear(models, mode, samples, []))
    assert told(hear(models, mode, samples, list(range(0, len(samples), 960)))) == at_once
    assert told(hear(models, mode, samples, cuts)) == at_once
    assert at_once[-1] == ("Ended",)
    assert not models.needed_online._pools, "its slot was given back"


def test_partials_come_while_somebody_speaks(models: ModelSet) -> None:
    """Not after: each is there as soon as the audio that it needs is."""
    stream = stream_of(models, Mode.TWO_PASS)
    heard: list[tuple[float, str]] = []
    samples = babble(3.9, 3) + np.float32(0.02)
    for begin in range(0, len(samples), 960):
        stream.accept(samples[begin : begin + 960], 0.0)
        heard += [(round((begin + 960) / 16_000, 2), type(event).__name__) for event in work(stream)]
    assert [kind for _, kind in heard] == ["Partial"] * 6
    times = [time for time, _ in heard]
    assert times[0] <= 0.96, "600 ms of speech, and what the VAD needs to be sure"
    assert np.allclose(np.diff(times), 0.6, atol=0.07)
    stream.release()


def test_an_utterance_that_says_nothing_is_not_told(models: ModelSet) -> None:
    """Unless partials said something: then its empty final takes them back."""
    stream = stream_of(models, Mode.OFFLINE)
    stream.accept(babble(2.0, 4) + np.float32(0.02), 0.0)
    stream.finish(0.0)
    stream.frame_some()
    while stream.next_job() is None or stream.next_job().stage is Stage.VAD:  # type: ignore[union-attr]
        if stream.next_job() is None:
            stream.settle()
        else:
            stream.on_vad(*models.needed_vad.step([stream.vad_row()])[0], 0.0)
    assert models.needed_offline.run([stream.finals.offline_row()])[0].tokens
    assert stream.on_offline(Recognised(()), 0.0) == []
    assert work(stream) == [Ended()]


def test_latencies_count_from_arrival(models: ModelSet) -> None:
    stream = stream_of(models, Mode.ONLINE)
    samples = babble(1.3, 5)
    stream.accept(samples[:9600], 100.0)
    stream.accept(samples[9600:], 107.0)
    stream.finish(109.0)
    partials = [event for event in work(stream, now=110.0) if isinstance(event, Partial)]
    assert [partial.latency_seconds for partial in partials] == [10.0, 3.0, 1.0]
    stream.release()


def test_too_much_audio_ahead_is_the_clients_fault(models: ModelSet) -> None:
    stream = stream_of(models, Mode.ONLINE)
    assert stream.accept(np.zeros(59 * 16_000, dtype=np.float32), 0.0) is None
    failed = stream.accept(np.zeros(2 * 16_000, dtype=np.float32), 0.0)
    assert isinstance(failed, Failed)
    assert failed.fault == "client"
    stream.release()


def test_audio_after_the_end_is_refused(models: ModelSet) -> None:
    stream = stream_of(models, Mode.ONLINE)
    stream.finish(0.0)
    failed = stream.accept(np.zeros(960, dtype=np.float32), 0.0)
    assert isinstance(failed, Failed)
    assert "after the end" in failed.message
    stream.release()


def test_finals_are_in_order_and_apart(models: ModelSet) -> None:
    events = hear(models, Mode.OFFLINE, talk(8, (3.0, 1.2), (5.5, 1.2), (1.0, 1.2)), [])
    finals = [event for event in events if isinstance(event, Final)]
    assert len(finals) >= 3
    assert all(before.end_ms <= after.begin_ms for before, after in pairwise(finals))


def _deaf(_: Event) -> None:
    """Events are taken from `work`."""
