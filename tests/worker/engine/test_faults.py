"""What breaks below the engine: a row that makes NaN, a device without memory, a device that is gone."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrpool_worker.engine.engine import FRAMING_SAMPLES_A_TURN, MAX_FAILED_BATCHES
from asrpool_worker.engine.factory import EngineConfig, build_engine
from asrpool_worker.engine.handle import EngineStream
from asrpool_worker.engine.messages import Ended, Event, Failed, Mode, Samples, StreamOptions
from asrpool_worker.engine.modeldir import read
from asrpool_worker.engine.onnx_backend import HostArrays
from asrpool_worker.engine.options import check_options
from asrpool_worker.engine.paraformer.dims import read_dims
from asrpool_worker.engine.scheduler import Stage
from asrpool_worker.engine.slots import FIRST_CAPACITY, STATE, SlotPool
from asrpool_worker.engine.stream_state import StreamState
from asrpool_worker.errors import ServerError
from tests.worker.engine.conftest import babble
from tests.worker.engine.listening import Listener
from tests.worker.engine.test_engine import Bench, feed, running

SHAPE = check_options(StreamOptions())


class TestDeath:
    def test_a_device_that_fails_every_row_ends_the_thread_and_says_so(
        self, random_online: Path, random_offline: Path
    ) -> None:
        deaths: list[str] = []
        with running(random_online, random_offline, None, on_death=deaths.append) as bench:
            gate = bench.gates[Stage.ONLINE]
            gate.poison = -1.0
            for number in range(MAX_FAILED_BATCHES - 1):
                assert isinstance(bench.hear(Mode.ONLINE, babble(0.7, number)).events[-1], Failed)
            assert not deaths
            gate.open.clear()
            last, last_listener = bench.open(Mode.ONLINE)
            feed(last, babble(0.7, 90))
            last.finish()
            deadline = time.monotonic() + 10
            while not bench.engine._ready and time.monotonic() < deadline:
                time.sleep(0.01)
            _, idle_listener = bench.open(Mode.ONLINE)
            gate.open.set()
            for listener in (last_listener, idle_listener):
                assert isinstance(listener.wait(10)[-1], Failed), "an opening that still waited is answered too"
            bench.engine.stop()
            assert len(deaths) == 1
            assert "the models fail on silence too" in deaths[0]
            with pytest.raises(ServerError, match="stopped"):
                bench.open(Mode.ONLINE)

    def test_audio_that_fails_again_and_again_is_not_taken_for_a_broken_device(
        self, random_online: Path, random_offline: Path
    ) -> None:
        deaths: list[str] = []
        with running(random_online, random_offline, None, on_death=deaths.append) as bench:
            gate = bench.gates[Stage.ONLINE]
            gate.poison = 40.0
            for number in range(2 * MAX_FAILED_BATCHES):
                loud = bench.hear(Mode.ONLINE, babble(0.7, number) * np.float32(1e18))
                assert isinstance(loud.events[-1], Failed)
            assert isinstance(bench.hear(Mode.ONLINE, babble(0.7, 91) * np.float32(0.01)).events[-1], Ended)
            assert not deaths

    def test_a_stop_is_no_death(self, random_online: Path, random_offline: Path) -> None:
        deaths: list[str] = []
        with running(random_online, random_offline, None, on_death=deaths.append) as bench:
            bench.engine.stop()
        assert not deaths


def in_mid_turn(bench: Bench, holding: Holding, samples: Samples, count: Callable[[StreamState], int]) -> int:
    """Let the engine go on; the sum of `count` over all streams when one with `samples` gets its first answer."""
    seen: queue.Queue[int] = queue.Queue()

    def look(_: Event) -> None:
        """Called on the engine's thread, in the middle of its turn."""
        seen.put(sum(count(stream) for stream in bench.engine._streams.values()))

    bench.engine.open("looks", StreamOptions(mode=Mode.ONLINE), look).feed(samples, time.monotonic())
    holding.go.set()
    return seen.get(timeout=10)


def test_files_sent_at_once_are_framed_a_little_at_a_time_and_live_streams_first(
    random_online: Path, random_offline: Path
) -> None:
    with running(random_online, random_offline, None) as bench:
        holding = Holding()
        bench.engine.open("holder", StreamOptions(mode=Mode.ONLINE), holding).finish()
        assert holding.reached.wait(10)
        for number in range(8):
            file, _ = bench.open(Mode.ONLINE)
            file.feed(babble(10.0, number), time.monotonic())
        framed = in_mid_turn(bench, holding, babble(1.3, 80), lambda stream: stream.audio.framed_samples)
        assert framed <= 2 * FRAMING_SAMPLES_A_TURN


def test_live_streams_are_all_framed_in_one_turn_however_many_they_are(
    random_online: Path, random_offline: Path
) -> None:
    """A full pod brings more in a turn than one file may: a limit on all together would starve some of them for ever."""
    with running(random_online, random_offline, None) as bench:
        holding = Holding()
        bench.engine.open("holder", StreamOptions(mode=Mode.ONLINE), holding).finish()
        assert holding.reached.wait(10)
        live = [bench.open(Mode.ONLINE)[0] for _ in range(30)]
        for number, stream in enumerate(live):
            stream.feed(babble(0.7, number), time.monotonic())
        unframed = in_mid_turn(bench, holding, babble(0.65, 80), lambda stream: stream.audio.unframed_samples)
        assert unframed == 0
        assert 2 * FRAMING_SAMPLES_A_TURN < 30 * 0.7 * 16_000


class Scarce(HostArrays):
    """Has memory for so many arrays that hold anything."""

    left = 0

    def zeros(self, shape: tuple[int, ...]) -> Any:
        if 0 not in shape:
            if self.left == 0:
                raise RuntimeError("out of memory, as torch says it")
            self.left -= 1
        return super().zeros(shape)


def test_a_pool_that_cannot_grow_stays_as_it_was(random_online: Path) -> None:
    """Some arrays grown and others not would fail every later stream of that shape."""
    arrays = Scarce()
    pool = SlotPool(SHAPE, read_dims(read(random_online), streaming=True), arrays)
    arrays.left = len(STATE) + 1
    held = [pool.acquire() for _ in range(FIRST_CAPACITY)]
    arrays.left = len(STATE) - 1
    with pytest.raises(RuntimeError, match="out of memory"):
        pool.acquire()
    assert {*(len(array) for array in pool._state.values()), pool._caches.shape[1]} == {FIRST_CAPACITY}
    assert pool.used == FIRST_CAPACITY
    pool.release(held[0])
    assert pool.acquire() == held[0]
    arrays.left = len(STATE) + 1
    assert pool.acquire() not in held


@pytest.mark.parametrize("engine", ["onnx", "torch"])
@pytest.mark.parametrize("mode", Mode)
def test_a_row_that_makes_nan_reaches_none_of_its_neighbours(
    engine: str, mode: Mode, random_online: Path, random_offline: Path
) -> None:
    """Masks multiply in places, and 0 x NaN is NaN. The sum of such samples' squares is no float any more."""
    config = EngineConfig(engine=engine, online=str(random_online), offline=str(random_offline), vad=None)
    ready = build_engine(config)
    ready.start()
    try:
        samples = babble(2.5, 70)
        alone = Listener()
        talk_to(ready.open("alone", StreamOptions(mode=mode), alone), samples)
        assert len(alone.wait()) > 1
        holding = Holding()
        holder = ready.open("holder", StreamOptions(mode=mode), holding)
        holder.finish()
        assert holding.reached.wait(10)
        bad, good = Listener(), Listener()
        talk_to(ready.open("bad", StreamOptions(mode=mode), bad), samples * np.float32(1e30))
        talk_to(ready.open("good", StreamOptions(mode=mode), good), samples)
        holding.go.set()
        assert isinstance(bad.wait()[-1], Ended | Failed)
        good.wait()
        assert good.said == alone.said
        after = Listener()
        talk_to(ready.open("after", StreamOptions(mode=mode), after), samples)
        after.wait()
        assert after.said == alone.said, "nor who takes its slot after it"
    finally:
        ready.stop()


class Holding:
    """A listener that keeps the engine's thread until it is let go: what comes in meanwhile is run together."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

    def __call__(self, _: Event) -> None:
        self.reached.set()
        assert self.go.wait(10)


def talk_to(stream: EngineStream, samples: Samples) -> None:
    feed(stream, samples)
    stream.finish()
