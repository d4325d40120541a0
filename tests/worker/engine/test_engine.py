"""The engine as its sessions see it: what comes back, in which order, and what one stream can do to another (nothing)."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.engine import LoadedModels, RecognitionEngine
from asrpool_worker.engine.factory import EngineConfig, build_engine
from asrpool_worker.engine.handle import EngineStream
from asrpool_worker.engine.messages import Ended, Event, Failed, Final, Mode, Partial, Samples, StreamOptions
from asrpool_worker.engine.model_loading import run_on_silence
from asrpool_worker.engine.model_set import ModelSet
from asrpool_worker.engine.onnx_backend import OnnxBackend
from asrpool_worker.engine.options import Limits
from asrpool_worker.engine.paraformer.dims import (
    OFFLINE_GRAPH,
    STREAMING_GRAPH,
    offline_graph_sizes,
    read_dims,
    streaming_graph_sizes,
)
from asrpool_worker.engine.paraformer.offline_model import OfflineModel
from asrpool_worker.engine.paraformer.online_model import OnlineModel
from asrpool_worker.engine.scheduler import Stage
from asrpool_worker.engine.stream_state import StreamState
from asrpool_worker.engine.vad.dims import read_vad
from asrpool_worker.engine.vad.model import VadModel
from asrpool_worker.errors import ModelError, OptionError, ServerError, SettingsError
from tests.worker.engine.conftest import babble
from tests.worker.engine.listening import Listener

GENEROUS = Limits(max_utterance_seconds=60.0, max_backlog_seconds=600.0)
Graph = Callable[[Mapping[str, Any]], tuple[Any, ...]]


class Gate:
    """Stands before a graph: can hold it, count it, and make it fail on a row that is louder than any speech."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.open = threading.Event()
        self.open.set()
        self.rows: list[int] = []
        self.poison = np.inf

    def __call__(self, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        assert self.open.wait(30)
        self.rows.append(len(inputs["frames"]))
        if np.abs(inputs["frames"]).max() > self.poison:
            raise RuntimeError("a row this model cannot take")
        return self._graph(inputs)


def loud_is_speech(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """A VAD for tests: the mean of the filter bank decides."""
    return np.where(inputs["frames"].mean(axis=-1) > -1.2, 0.05, 0.95).astype(np.float32), inputs["past"]


@dataclass
class Bench:
    """An engine over random models and the gates before them."""

    engine: RecognitionEngine
    gates: dict[Stage, Gate]
    models: ModelSet
    observed: list[tuple[str, int, float]]

    def batch(self, stage: str, rows: int, seconds: float) -> None:
        self.observed.append((stage, rows, seconds))

    def open(self, mode: Mode, **options: Any) -> tuple[EngineStream, Listener]:
        listener = Listener()
        return self.engine.open("session", StreamOptions(mode=mode, **options), listener), listener

    def hear(self, mode: Mode, samples: Samples, piece: int = 960, **options: Any) -> Listener:
        stream, listener = self.open(mode, **options)
        feed(stream, samples, piece)
        stream.finish()
        listener.wait()
        return listener


def feed(stream: EngineStream, samples: Samples, piece: int = 960) -> None:
    for begin in range(0, len(samples), piece):
        stream.feed(samples[begin : begin + piece], time.monotonic())


@contextmanager
def running(
    online: Path,
    offline: Path,
    vad: Path | None,
    limits: Limits = GENEROUS,
    rows: int = 16,
    on_death: Callable[[str], None] | None = None,
) -> Iterator[Bench]:
    backend = OnnxBackend("cpu", 1)
    online_dir, offline_dir = modeldir.read(online), modeldir.read(offline)
    online_dims, offline_dims = read_dims(online_dir, streaming=True), read_dims(offline_dir, streaming=False)
    gates = {
        Stage.ONLINE: Gate(backend.load(online_dir, STREAMING_GRAPH, streaming_graph_sizes(online_dims))),
        Stage.OFFLINE: Gate(backend.load(offline_dir, OFFLINE_GRAPH, offline_graph_sizes(offline_dims))),
        Stage.VAD: Gate(loud_is_speech),
    }
    vad_model = None
    if vad is not None:
        vad_dir = modeldir.read(vad)
        vad_model = VadModel(vad_dir, *read_vad(vad_dir), gates[Stage.VAD], backend.arrays)
    models = ModelSet(
        online_dir.frontend,
        OnlineModel(online_dir, online_dims, gates[Stage.ONLINE], backend.arrays),
        OfflineModel(offline_dir, offline_dims, gates[Stage.OFFLINE], backend.arrays),
        vad_model,
    )
    observed: list[tuple[str, int, float]] = []
    bench = Bench(None, gates, models, observed)  # type: ignore[arg-type]
    engine = RecognitionEngine(
        lambda: LoadedModels(models, 0.5, {"models": 0.5}, lambda: run_on_silence(models)),
        limits,
        dict.fromkeys(Stage, rows),
        bench,
    )
    bench.engine = engine
    engine.start(on_death)
    try:
        yield bench
    finally:
        for gate in gates.values():
            gate.open.set()
        engine.stop()


@pytest.fixture
def bench(random_online: Path, random_offline: Path, random_vad: Path) -> Iterator[Bench]:
    with running(random_online, random_offline, random_vad) as ready:
        yield ready


@pytest.fixture
def bench_without_vad(random_online: Path, random_offline: Path) -> Iterator[Bench]:
    with running(
        random_online, random_offline, None, Limits(max_utterance_seconds=3.0, max_backlog_seconds=20.0)
    ) as ready:
        yield ready


def talk(seed: int, *stretches: tuple[float, float]) -> Samples:
    """(seconds of speech, seconds of silence), one after the other."""
    parts = []
    for number, (speech, silence) in enumerate(stretches):
        parts += [
            babble(speech, seed * 100 + number) + np.float32(0.02),
            np.zeros(int(silence * 16_000), dtype=np.float32),
        ]
    return np.concatenate(parts).astype(np.float32)


class TestModes:
    def test_online_says_partials_only(self, bench: Bench) -> None:
        told = bench.hear(Mode.ONLINE, babble(4.0, 1)).said
        assert {entry[0] for entry in told[:-1]} == {"partial"}
        assert len(told) > 3
        assert told[-1] == ("Ended",)

    def test_offline_says_one_final_for_each_utterance(self, bench: Bench) -> None:
        told = bench.hear(Mode.OFFLINE, talk(2, (2.0, 1.5), (1.5, 1.5))).said
        assert [entry[0] for entry in told] == ["final", "final", "Ended"]

    def test_2pass_says_partials_then_the_final_of_each_utterance(self, bench: Bench) -> None:
        told = [entry[0] for entry in bench.hear(Mode.TWO_PASS, talk(3, (3.0, 1.5), (2.5, 1.5))).said]
        assert told[-1] == "Ended"
        assert told.count("final") == 2
        first = told.index("final")
        assert "partial" in told[:first], "the first utterance had partials"
        assert "partial" in told[first + 1 : -2], "so had the second, after the first was done"

    def test_times_are_those_of_the_stream(self, bench: Bench) -> None:
        finals = [
            event
            for event in bench.hear(Mode.OFFLINE, talk(4, (2.0, 2.0), (2.0, 1.0))).events
            if isinstance(event, Final)
        ]
        assert finals[0].begin_ms < 300
        assert 1700 <= finals[0].end_ms <= 2400
        assert 3500 <= finals[1].begin_ms <= 4300
        for final in finals:
            times = [time for pair in final.timestamps_ms for time in pair]
            assert len(final.tokens) == len(final.timestamps_ms) > 0
            assert times == sorted(times)
            assert final.begin_ms <= times[0]
            assert times[-1] <= final.end_ms + 60

    def test_silence_ends_without_a_word(self, bench: Bench) -> None:
        for mode in (Mode.OFFLINE, Mode.TWO_PASS):
            assert bench.hear(mode, np.zeros(80_000, dtype=np.float32)).said == [("Ended",)]
        assert not bench.gates[Stage.ONLINE].rows, "silence costs no recogniser step"

    @pytest.mark.parametrize("mode", Mode)
    @pytest.mark.parametrize("count", [0, 1, 399, 400, 959, 960, 5000])
    def test_streams_of_any_shortness_end(self, bench: Bench, bench_without_vad: Bench, mode: Mode, count: int) -> None:
        samples = babble(1.0, 5)[:count]
        for each in (bench, bench_without_vad):
            assert isinstance(each.hear(mode, samples).events[-1], Ended)

    def test_without_vad_a_long_stream_is_cut(self, bench_without_vad: Bench) -> None:
        """Its memory and its second pass stay bounded, and its pieces follow on each other."""
        finals = [
            event for event in bench_without_vad.hear(Mode.TWO_PASS, babble(10.0, 6)).events if isinstance(event, Final)
        ]
        assert [final.begin_ms for final in finals] == [0, 3000, 6000, 9000]
        assert [final.end_ms for final in finals][:3] == [3000, 6000, 9000]

    def test_a_mode_without_its_model_is_refused(self, random_offline: Path) -> None:
        engine = build_engine(EngineConfig(offline=str(random_offline)))
        engine.start()
        try:
            assert engine.modes == {Mode.OFFLINE}
            with pytest.raises(OptionError, match="2pass is not served"):
                engine.open("session", StreamOptions(mode=Mode.TWO_PASS), Listener())
        finally:
            engine.stop()

    def test_bad_options_are_refused_at_once(self, bench: Bench) -> None:
        with pytest.raises(OptionError, match="look-ahead"):
            bench.open(Mode.ONLINE, chunk_size=(5, 10, 200_000))


class TestTogether:
    @pytest.mark.parametrize("mode", Mode)
    def test_what_a_stream_hears_does_not_depend_on_the_others(self, bench: Bench, mode: Mode) -> None:
        """Streams that begin, pause and end at different times, cut into different pieces, hear what each hears alone."""
        audio = [talk(seed, (2.0 + seed * 0.3, 1.0), (1.0 + seed * 0.2, 0.4 * (seed % 3))) for seed in range(8)]
        alone = [bench.hear(mode, samples).said for samples in audio]
        bench.gates[Stage.ONLINE].rows.clear()
        bench.gates[Stage.OFFLINE].rows.clear()
        opened = [bench.open(mode) for _ in audio]
        rng = np.random.default_rng(0)
        places = [0] * len(audio)
        while any(place < len(samples) for place, samples in zip(places, audio, strict=True)):
            number = int(rng.integers(len(audio)))
            size = int(rng.choice([1, 160, 777, 960, 9600, 20_000]))
            piece = audio[number][places[number] : places[number] + size]
            opened[number][0].feed(piece, time.monotonic())
            places[number] += len(piece)
        for stream, _ in opened:
            stream.finish()
        for listener in [listener for _, listener in opened]:
            listener.wait()
        assert [listener.said for _, listener in opened] == alone
        assert max(bench.gates[Stage.ONLINE].rows + bench.gates[Stage.OFFLINE].rows) > 1, "they did share steps"

    def test_streams_of_different_shapes_run_side_by_side(self, bench: Bench) -> None:
        shapes: list[dict[str, Any]] = [
            {},
            {"chunk_size": (0, 10, 5)},
            {"chunk_size": (2, 4, 2), "encoder_chunk_look_back": 0},
        ]
        audio = babble(3.0, 7)
        alone = [bench.hear(Mode.ONLINE, audio, **shape).said for shape in shapes]
        opened = [bench.open(Mode.ONLINE, **shape) for shape in shapes]
        for stream, _ in opened:
            feed(stream, audio)
            stream.finish()
        for listener in [listener for _, listener in opened]:
            listener.wait()
        assert [listener.said for _, listener in opened] == alone

    def test_two_runs_are_equal(self, bench: Bench) -> None:
        audio = talk(9, (3.0, 1.0), (2.0, 0.0))
        assert (
            bench.hear(Mode.TWO_PASS, audio, piece=960).said == bench.hear(Mode.TWO_PASS, audio, piece=len(audio)).said
        )

    def test_waiting_chunks_share_a_step(self, bench: Bench) -> None:
        """While a step runs, what comes in gathers; the next step takes all of it."""
        gate = bench.gates[Stage.ONLINE]
        gate.open.clear()
        opened = [bench.open(Mode.ONLINE) for _ in range(6)]
        for stream, _ in opened:
            feed(stream, babble(0.7, 10))
            stream.finish()
        gate.open.set()
        for listener in [listener for _, listener in opened]:
            listener.wait()
        assert max(gate.rows) >= 5
        assert ("online", max(gate.rows)) in {(stage, rows) for stage, rows, _ in bench.observed}


class TestFaults:
    def test_audio_that_is_not_a_number_ends_its_own_stream(self, bench: Bench) -> None:
        other, listener = bench.open(Mode.ONLINE)
        feed(other, babble(1.0, 11))
        bad, bad_listener = bench.open(Mode.ONLINE)
        bad.feed(np.array([0.0, np.nan, np.inf], dtype=np.float32), time.monotonic())
        (failed,) = bad_listener.wait()
        assert isinstance(failed, Failed)
        assert failed.fault == "client"
        assert "finite" in failed.message
        feed(other, babble(1.0, 12))
        other.finish()
        assert isinstance(listener.wait()[-1], Ended)

    @pytest.mark.parametrize("stage", [Stage.ONLINE, Stage.OFFLINE])
    def test_a_row_that_a_model_cannot_take_fails_alone(self, bench_without_vad: Bench, stage: Stage) -> None:
        """Its batch is run again row by row; the others hear what they would have heard, and the engine goes on."""
        bench = bench_without_vad
        mode = Mode.ONLINE if stage is Stage.ONLINE else Mode.OFFLINE
        good = [babble(2.0, 20 + number) * np.float32(0.01) for number in range(3)]
        alone = [bench.hear(mode, samples).said for samples in good]
        gate = bench.gates[stage]
        gate.poison = 40.0
        gate.open.clear()
        opened = [bench.open(mode) for _ in range(4)]
        for (stream, _), samples in zip(opened, [*good, babble(2.0, 30) * np.float32(1e18)], strict=True):
            feed(stream, samples, 32_000)
            stream.finish()
        gate.open.set()
        *heard, failed = [listener.wait() for _, listener in opened]
        assert [listener.said for _, listener in opened[:3]] == alone
        assert isinstance(failed[-1], Failed)
        assert failed[-1].fault == "server"
        assert all(isinstance(events[-1], Ended) for events in heard)
        gate.poison = np.inf
        assert bench.hear(mode, good[0]).said == alone[0]

    def test_a_listener_that_raises_takes_nobody_down(self, bench: Bench) -> None:
        def broken(_: Event) -> None:
            raise RuntimeError("this session is broken")

        stream = bench.engine.open("broken", StreamOptions(mode=Mode.ONLINE), broken)
        feed(stream, babble(2.0, 31))
        stream.finish()
        assert isinstance(bench.hear(Mode.ONLINE, babble(2.0, 32)).events[-1], Ended)

    @pytest.mark.parametrize(
        "samples", [np.array(["a"]), np.zeros((3, 2), dtype=np.float32), "audio"], ids=["text", "stereo", "str"]
    )
    def test_what_is_not_mono_audio_ends_its_own_stream(self, bench: Bench, samples: Any) -> None:
        """A fault of ours (the protocols send float32), and still only that stream's end."""
        stream, listener = bench.open(Mode.ONLINE)
        stream.feed(samples, time.monotonic())
        stream.feed(babble(1.0, 36), time.monotonic())
        stream.finish()
        assert isinstance(listener.wait()[-1], Failed)
        assert isinstance(bench.hear(Mode.ONLINE, babble(1.0, 37)).events[-1], Ended)

    def test_metrics_that_fail_do_not_run_a_step_twice(self, bench: Bench) -> None:
        audio = babble(3.0, 38)
        alone = bench.hear(Mode.ONLINE, audio).said
        bench.observed = None  # type: ignore[assignment]
        assert bench.hear(Mode.ONLINE, audio).said == alone

    def test_no_room_for_a_stream_is_said(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_: object) -> None:
            raise MemoryError

        with monkeypatch.context() as patched:
            patched.setattr(bench.models.needed_online, "acquire", full)
            _, listener = bench.open(Mode.ONLINE)
            (failed,) = listener.wait()
        assert isinstance(failed, Failed)
        assert failed.fault == "server"
        assert not bench.engine._handles

    def test_a_client_too_far_ahead_is_told_so(self, bench_without_vad: Bench) -> None:
        bench_without_vad.gates[Stage.ONLINE].open.clear()
        stream, listener = bench_without_vad.open(Mode.ONLINE)
        stream.feed(babble(15.0, 33), time.monotonic())
        assert stream.backlog_seconds == pytest.approx(15.0)
        stream.feed(babble(15.0, 34), time.monotonic())
        bench_without_vad.gates[Stage.ONLINE].open.set()
        failed = listener.wait()[-1]
        assert isinstance(failed, Failed)
        assert failed.fault == "client"
        assert "20 s" in failed.message

    def test_stop_tells_every_stream(self, bench: Bench) -> None:
        _, first = bench.open(Mode.ONLINE)
        stream, second = bench.open(Mode.TWO_PASS)
        feed(stream, babble(0.3, 35))
        bench.engine.stop()
        for listener in (first, second):
            assert isinstance(listener.wait()[-1], Failed)
        with pytest.raises(ServerError, match="stopped"):
            bench.open(Mode.ONLINE)


class TestEnds:
    def test_close_frees_at_once_and_says_no_more(self, bench: Bench) -> None:
        """Queued audio and work that is ready go with the stream; its slot is another's."""
        gate = bench.gates[Stage.ONLINE]
        gate.open.clear()
        stream, listener = bench.open(Mode.ONLINE)
        feed(stream, babble(5.0, 40))
        _wait_for(lambda: bench.engine.stats().open_streams == 1)
        stream.close()
        gate.open.set()
        _wait_for(lambda: bench.engine.stats().open_streams == 0)
        assert len(gate.rows) <= 1, "at most the step that was already running"
        stream.feed(babble(1.0, 41), time.monotonic())
        stream.finish()
        bench.hear(Mode.ONLINE, babble(0.7, 42))
        assert listener.events == []
        assert not bench.models.needed_online._pools

    def test_nothing_stays_of_streams_that_ended(self, bench: Bench) -> None:
        """After many short streams, ended in every way, the engine holds no stream, slot or handle."""
        for number in range(60):
            stream, listener = bench.open(list(Mode)[number % 3])
            feed(stream, babble(0.7, number), 4000)
            if number % 4 == 0:
                stream.close()
            elif number % 4 == 1:
                stream.feed(np.array([np.nan], dtype=np.float32), time.monotonic())
                listener.wait()
            else:
                stream.finish()
                listener.wait()
        _wait_for(lambda: bench.engine.stats().open_streams == 0)
        engine = bench.engine
        assert not engine._streams
        assert not engine._handles
        assert not engine._ready
        assert not bench.models.needed_online._pools
        gc.collect()
        assert sum(type(thing) is StreamState for thing in gc.get_objects()) <= 1

    def test_sessions_of_many_threads_keep_the_promises(self, bench: Bench) -> None:
        """Finished streams get exactly one end and nothing after it; closed ones nothing; nobody waits for ever."""
        audio = [talk(70 + number, (0.8, 0.4 * number)) for number in range(4)]

        def live(number: int) -> tuple[bool, Listener]:
            rng = np.random.default_rng(number)
            stream, listener = bench.open(list(Mode)[int(rng.integers(3))])
            feed(stream, audio[number % 4], int(rng.choice([960, 5000, 20_000])))
            closes = bool(rng.random() < 0.3)
            stream.close() if closes else stream.finish()
            return closes, listener

        with ThreadPoolExecutor(8) as pool:
            lived = list(pool.map(live, range(120)))
        told_at_close = [len(listener.events) for closes, listener in lived if closes]
        for closes, listener in lived:
            if not closes:
                listener.wait()
        _wait_for(lambda: bench.engine.stats().open_streams == 0)
        for closes, listener in lived:
            ends = [index for index, event in enumerate(listener.events) if isinstance(event, Ended | Failed)]
            assert ends == ([] if closes else [len(listener.events) - 1])
        assert [len(listener.events) for closes, listener in lived if closes] == told_at_close

    def test_an_idle_engine_sleeps(self, bench: Bench) -> None:
        """No polling: with a stream open and nothing to do, the thread uses no time."""
        bench.open(Mode.TWO_PASS)
        _wait_for(lambda: bench.engine.stats().open_streams == 1)
        before = time.process_time()
        threading.Event().wait(0.5)
        assert time.process_time() - before < 0.1

    def test_a_long_stream_holds_no_more_than_a_short_one(self, bench: Bench) -> None:
        stream, _ = bench.open(Mode.TWO_PASS)
        held = []
        for number in range(6):
            feed(stream, talk(50 + number, (2.0, 3.0)), 9600)
            _wait_for(lambda: stream.backlog_seconds < 0.2)
            (state,) = bench.engine._streams.values()
            held.append(state.audio.frames.count - state.audio.frames.first)
        stream.close()
        assert max(held) < 100, f"frames held after each five seconds: {held}"

    def test_latency_counts_from_the_arrival_of_the_last_sample_needed(self, bench: Bench) -> None:
        """Audio that came ten seconds ago gives a latency of ten seconds; what came last does not hide it."""
        stream, listener = bench.open(Mode.ONLINE)
        now = time.monotonic()
        samples = babble(1.3, 43)
        stream.feed(samples[:9600], now - 10.0)
        stream.feed(samples[9600:], now)
        stream.finish()
        partials = [event for event in listener.wait() if isinstance(event, Partial)]
        assert 10.0 <= partials[0].latency_seconds < 12.0
        assert 0.0 <= partials[-1].latency_seconds < 2.0

    def test_lag_is_how_long_the_oldest_work_waits(self, bench: Bench) -> None:
        gate = bench.gates[Stage.ONLINE]
        assert bench.engine.stats().lag_seconds == 0.0
        gate.open.clear()
        stream, listener = bench.open(Mode.ONLINE)
        feed(stream, babble(0.7, 44))
        stream.finish()
        _wait_for(lambda: bench.engine.stats().lag_seconds > 0.2)
        gate.open.set()
        listener.wait()
        _wait_for(lambda: bench.engine.stats().lag_seconds == 0.0)


class TestStart:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"engine": "tensorrt"}, "tensorrt"),
            ({"online": None, "offline": None}, "no recogniser"),
            ({"dtype": "float16"}, "float16"),
            ({"threads": 0}, "at least 1"),
        ],
        ids=str,
    )
    def test_settings_that_cannot_work(self, change: dict[str, Any], words: str) -> None:
        config = {"online": "somewhere"} | change
        with pytest.raises(SettingsError, match=words):
            build_engine(EngineConfig(**config))

    @pytest.mark.parametrize(
        ("wanted", "sentence"),
        [({"punctuation": True}, "no punctuation model is loaded"), ({"speakers": True}, "no speaker model is loaded")],
        ids=["punctuation", "speakers"],
    )
    def test_what_no_model_gives_is_refused_where_a_stream_insists(
        self, random_online: Path, random_offline: Path, wanted: dict[str, bool], sentence: str
    ) -> None:
        with running(random_online, random_offline, None) as bench:
            with pytest.raises(OptionError, match=sentence):
                bench.open(Mode.TWO_PASS, **wanted)
            stream, _ = bench.open(Mode.TWO_PASS, **dict.fromkeys(wanted, None))
            stream.close()

    def test_an_unusable_device_is_named(self, random_online: Path) -> None:
        for engine in ("onnx", "torch"):
            with pytest.raises(SettingsError, match="tpu"):
                build_engine(EngineConfig(engine=engine, online=str(random_online), device="tpu")).start()

    def test_a_missing_directory_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="absent"):
            build_engine(EngineConfig(online=str(tmp_path / "absent"))).start()

    def test_torch_and_onnx_hear_the_same(self, random_online: Path, random_offline: Path) -> None:
        audio = babble(4.0, 60)
        heard = []
        for engine in ("onnx", "torch"):
            ready = build_engine(EngineConfig(engine=engine, online=str(random_online), offline=str(random_offline)))
            ready.start()
            listener = Listener()
            stream = ready.open("session", StreamOptions(mode=Mode.TWO_PASS), listener)
            feed(stream, audio)
            stream.finish()
            listener.wait()
            assert set(ready.stats().load_phases_seconds) == {"engine", "online", "offline", "warm_up"}
            ready.stop()
            heard.append(listener.said)
        assert heard[0] == heard[1]

    def test_the_onnx_engine_needs_no_torch(self, random_online: Path, random_vad: Path, random_offline: Path) -> None:
        """The CPU image has no torch; nor may anything slow to import creep in (the worker is ready in 3 s)."""
        script = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"torch", "torchaudio", "funasr", "onnx", "scipy", "pandas", "transformers"}}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from asrpool_worker.engine.factory import EngineConfig, build_engine
engine = build_engine(EngineConfig(online={str(random_online)!r}, offline={str(random_offline)!r}, vad={str(random_vad)!r}))
engine.start()
print(*sorted(engine.modes))
engine.stop()
"""
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        assert done.stdout.split() == ["2pass", "offline", "online"], done.stderr


def _wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come about"
        time.sleep(0.005)
