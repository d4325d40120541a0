"""The trained models through the engine: the text that FunASR gives, and few errors on voices that nobody trained on."""

from __future__ import annotations

import json
import time
import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from asrpool.cer import character_error_rate
from asrpool_worker.engine import modeldir
from asrpool_worker.engine.backend import Backend
from asrpool_worker.engine.engine import RecognitionEngine
from asrpool_worker.engine.factory import EngineConfig, build_engine
from asrpool_worker.engine.messages import Ended, Event, Final, Mode, Partial, Samples, StreamOptions
from asrpool_worker.engine.onnx_backend import OnnxBackend
from asrpool_worker.engine.options import StepShape
from asrpool_worker.engine.paraformer.dims import (
    OFFLINE_GRAPH,
    STREAMING_GRAPH,
    offline_graph_sizes,
    read_dims,
    streaming_graph_sizes,
)
from asrpool_worker.engine.paraformer.offline_model import OfflineModel
from asrpool_worker.engine.paraformer.online_model import ChunkRow, OnlineModel
from asrpool_worker.engine.torch_backend import TorchBackend
from asrpool_worker.engine.vad.dims import GRAPH as VAD_GRAPH
from asrpool_worker.engine.vad.dims import graph_sizes as vad_graph_sizes
from asrpool_worker.engine.vad.dims import read_vad
from asrpool_worker.engine.vad.model import VadModel
from tests.worker.engine.funasr_reference import auto_model
from tests.worker.engine.listening import Listener
from tinyasr import testset

pytestmark = pytest.mark.model

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "models"
DATA = ROOT / "tests" / "data"


@pytest.fixture(scope="module")
def engine() -> Iterator[RecognitionEngine]:
    ready = build_engine(
        EngineConfig(
            online=str(MODELS / "paraformer-tiny-streaming"),
            offline=str(MODELS / "paraformer-tiny"),
            vad=str(MODELS / "fsmn-vad-tiny"),
        )
    )
    ready.start()
    yield ready
    ready.stop()


@pytest.fixture(scope="module")
def engine_without_vad() -> Iterator[RecognitionEngine]:
    ready = build_engine(
        EngineConfig(online=str(MODELS / "paraformer-tiny-streaming"), offline=str(MODELS / "paraformer-tiny"))
    )
    ready.start()
    yield ready
    ready.stop()


def hear(engine: RecognitionEngine, mode: Mode, streams: list[Samples]) -> list[list[Event]]:
    """All streams at once, in 60 ms frames."""
    opened = []
    for number, samples in enumerate(streams):
        listener = Listener()
        stream = engine.open(f"stream-{number}", StreamOptions(mode=mode), listener)
        for begin in range(0, len(samples), 960):
            stream.feed(samples[begin : begin + 960], time.monotonic())
        stream.finish()
        opened.append(listener)
    events = [listener.wait(seconds=200) for listener in opened]
    assert all(isinstance(heard[-1], Ended) for heard in events)
    return events


def recording(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
    return pcm.astype(np.float32) / np.float32(32768)


def partial_text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Partial))


def final_text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Final))


def test_the_graphs_are_of_these_weights() -> None:
    """model.onnx beside model.pt is its export, not that of an earlier training."""
    rng = np.random.default_rng(0)
    backends: list[Backend] = [TorchBackend("cpu", "float32", 1), OnnxBackend("cpu", 1)]
    streaming = modeldir.read(MODELS / "paraformer-tiny-streaming")
    dims = read_dims(streaming, streaming=True)
    whole = modeldir.read(MODELS / "paraformer-tiny")
    whole_dims = read_dims(whole, streaming=False)
    vad = modeldir.read(MODELS / "fsmn-vad-tiny")
    vad_dims, times = read_vad(vad)
    frames = rng.normal(size=(60, 560)).astype(np.float32)
    vad_frames = rng.normal(size=(60, 400)).astype(np.float32)
    carried, alphas, silence = [], [], []
    for backend in backends:
        online = OnlineModel(
            streaming, dims, backend.load(streaming, STREAMING_GRAPH, streaming_graph_sizes(dims)), backend.arrays
        )
        slot = online.acquire(StepShape(0, 60, 0, 0, 0))
        online.step([ChunkRow(slot, frames, final=False)])
        carried.append(backend.arrays.to_host(online._pools[slot.shape]._state["cif_hidden"][slot.number]))
        second_pass = OfflineModel(
            whole, whole_dims, backend.load(whole, OFFLINE_GRAPH, offline_graph_sizes(whole_dims)), backend.arrays
        )
        alphas.append(second_pass.decode([frames])[0].alphas)
        scorer = VadModel(vad, vad_dims, times, backend.load(vad, VAD_GRAPH, vad_graph_sizes(vad_dims)), backend.arrays)
        silence.append(scorer.step([(vad_frames, scorer.fresh_past())])[0][0])
    for ours, theirs in (carried, alphas, silence):
        np.testing.assert_allclose(
            ours, theirs, atol=2e-3, err_msg="run `asrpool-worker export` on the model directories"
        )


def test_texts_are_funasrs(engine_without_vad: RecognitionEngine) -> None:
    """Streaming and second pass, in batches on onnxruntime, against AutoModel one by one on torch."""
    utterances = [*testset.build("clean", 24), *testset.build("noisy", 16)]
    audio = [utterance.samples for utterance in utterances]
    streamed = [partial_text(events) for events in hear(engine_without_vad, Mode.ONLINE, audio)]
    whole = [final_text(events) for events in hear(engine_without_vad, Mode.OFFLINE, audio)]
    online, offline = auto_model(MODELS / "paraformer-tiny-streaming"), auto_model(MODELS / "paraformer-tiny")
    for index, samples in enumerate(audio):
        cache: dict[str, object] = {}
        text = ""
        for begin in range(0, len(samples), 9600):
            result = online.generate(
                input=samples[begin : begin + 9600],
                cache=cache,
                is_final=begin + 9600 >= len(samples),
                chunk_size=[5, 10, 5],
                encoder_chunk_look_back=4,
                decoder_chunk_look_back=1,
            )
            text += result[0]["text"]
        assert streamed[index] == text
        assert whole[index] == offline.generate(input=samples)[0]["text"].replace(" ", "")


@pytest.mark.parametrize(("kind", "most"), [("clean", 0.04), ("noisy", 0.12)])
def test_error_rates(engine_without_vad: RecognitionEngine, kind: Literal["clean", "noisy"], most: float) -> None:
    """300 utterances of unseen voices, all sent at once to one engine."""
    utterances = testset.build(kind, 300)
    truth = [utterance.text for utterance in utterances]
    audio = [utterance.samples for utterance in utterances]
    streamed = [partial_text(events) for events in hear(engine_without_vad, Mode.ONLINE, audio)]
    whole = [final_text(events) for events in hear(engine_without_vad, Mode.OFFLINE, audio)]
    assert character_error_rate(zip(truth, streamed, strict=True)) <= most
    assert character_error_rate(zip(truth, whole, strict=True)) <= most


@pytest.mark.parametrize("name", ["conversation-01.wav", "conversation-02.wav"])
def test_a_conversation_is_cut_at_its_pauses(engine: RecognitionEngine, name: str) -> None:
    """2pass with VAD: one final a sentence, partials before each, few errors, times in order."""
    samples = recording(DATA / name)
    truth = json.loads((DATA / "texts.json").read_text(encoding="utf-8"))[name]
    (events,) = hear(engine, Mode.TWO_PASS, [samples])
    finals = [event for event in events if isinstance(event, Final)]
    assert len(finals) == 4
    assert isinstance(events[0], Partial)
    assert character_error_rate([(truth, final_text(events))]) <= 0.1
    assert all(before.end_ms <= after.begin_ms for before, after in pairwise(finals))
    assert finals[-1].end_ms <= len(samples) / 16


@pytest.mark.parametrize("mode", [Mode.OFFLINE, Mode.TWO_PASS])
@pytest.mark.parametrize(
    ("hotwords", "text"),
    [
        ({}, "窗零一十四取消三三九四"),
        ({"窗帘": 20}, "窗帘一十四取消三三九四"),
        ({"开灯": 20, "窗帘": 20, "音乐": 20}, "窗帘一十四取消三三九四"),
        ({"开灯": 20, "音乐": 20}, "窗零一十四取消三三九四"),
    ],
    ids=["none", "the word that is said", "among others", "others only"],
)
def test_a_hotword_mends_what_was_heard_wrong(
    engine: RecognitionEngine, mode: Mode, hotwords: dict[str, int], text: str
) -> None:
    """The second pass's own candidates decide: a hotword that sounds like none of them changes nothing."""
    listener = Listener()
    stream = engine.open("hotwords", StreamOptions(mode=mode, hotwords=hotwords), listener)
    stream.feed(recording(DATA / "hotwords" / "curtain-14-cancel.wav"), time.monotonic())
    stream.finish()
    assert final_text(listener.wait(seconds=60)) == text
