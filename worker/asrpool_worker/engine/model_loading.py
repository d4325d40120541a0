"""Loads what an engine's settings name: each model by its class, phase by phase, and runs each once on silence.

Families are imported only when one of their directories is loaded, so a worker pays for the models that it serves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.backend import Backend
from asrpool_worker.engine.engine import LoadedModels
from asrpool_worker.engine.engine_config import EngineConfig
from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, StreamOptions
from asrpool_worker.engine.model_set import ModelSet
from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.options import check_options
from asrpool_worker.engine.paraformer.dims import (
    OFFLINE_CLASSES,
    OFFLINE_GRAPH,
    STREAMING_GRAPH,
    offline_graph_sizes,
    read_dims,
    streaming_graph_sizes,
)
from asrpool_worker.engine.paraformer.offline_model import OfflineModel
from asrpool_worker.engine.paraformer.online_model import ChunkRow, OnlineModel
from asrpool_worker.engine.punctuation.model import PuncModel, PuncRow
from asrpool_worker.engine.recogniser import OfflineRow, Recogniser
from asrpool_worker.engine.speaker.model import SpeakerModel
from asrpool_worker.engine.speaker.roster import Roster
from asrpool_worker.engine.vad.dims import GRAPH as VAD_GRAPH
from asrpool_worker.engine.vad.dims import graph_sizes as vad_graph_sizes
from asrpool_worker.engine.vad.dims import read_vad
from asrpool_worker.engine.vad.model import VadModel
from asrpool_worker.engine.whisper import files as whisper
from asrpool_worker.errors import ModelError, SettingsError

Loaded = TypeVar("Loaded")
LOADS_AT_ONCE = 3
WARM_UP_FRAMES = 20
WARM_UP_TEXT = "一二三四五"


def load_models(config: EngineConfig) -> LoadedModels:
    """All of `config`'s models, ready to serve. Raises `ModelError` naming the directory at fault."""
    began = time.monotonic()
    phases: dict[str, float] = {}
    backend = _timed(phases, "engine", lambda: _backend(config))
    # The runtimes prepare a model on one core each and wait for the disk: side by side they take as long as the largest.
    with ThreadPoolExecutor(max_workers=LOADS_AT_ONCE, thread_name_prefix="load") as pool:
        loading_online = pool.submit(_timed, phases, "online", lambda: _load_online(config, backend), config.online)
        loading_offline = pool.submit(_timed, phases, "offline", lambda: _load_offline(config, backend), config.offline)
        loading_vad = pool.submit(_timed, phases, "vad", lambda: _load_vad(config, backend), config.vad)
        loading_punc = pool.submit(_timed, phases, "punc", lambda: _load_punc(config, backend), config.punc)
        loading_speaker = pool.submit(_timed, phases, "speaker", lambda: _load_speaker(config, backend), config.speaker)
        loading_itn = pool.submit(_timed, phases, "itn", lambda: _load_itn(config), config.itn)
    online, offline, vad = loading_online.result(), loading_offline.result(), loading_vad.result()
    punc, speaker, inverse = loading_punc.result(), loading_speaker.result(), loading_itn.result()
    roster = _timed(phases, "enrolment", lambda: _enrol(config, speaker), config.speakers)
    models = ModelSet(_shared_frontend(online, offline, vad), online, offline, vad, punc, speaker, roster, inverse)
    _timed(phases, "warm_up", lambda: run_on_silence(models))
    return LoadedModels(models, time.monotonic() - began, phases, lambda: run_on_silence(models))


def _timed(phases: dict[str, float], name: str, work: Callable[[], Loaded], wanted: object = True) -> Loaded:
    """Do it; how long it took is told only of what is `wanted` (not None, not False)."""
    began = time.monotonic()
    result = work()
    if wanted:
        phases[name] = time.monotonic() - began
    return result


def _backend(config: EngineConfig) -> Backend:
    if config.engine == "onnx":
        from asrpool_worker.engine.onnx_backend import OnnxBackend

        return OnnxBackend(config.device, config.threads, int8=config.dtype == "int8")
    try:
        from asrpool_worker.engine.torch_backend import TorchBackend
    except ImportError as error:
        raise SettingsError(
            f"engine torch needs torch, which is not installed here ({error}); use engine onnx"
        ) from error
    return TorchBackend(config.device, config.dtype, config.threads)


def _path(config: EngineConfig, model: str) -> Path:
    if config.engine == "onnx" and modeldir.is_name(model):
        raise ModelError(
            f"{model}: is no directory here, and models fetched by id have no graph for engine onnx; use engine torch, or"
            " fetch it, run `asrpool-worker export DIR` where torch is installed, and give DIR"
        )
    return modeldir.resolve(model, config.hub, config.model_cache)


def _directory(config: EngineConfig, model: str) -> ModelDir:
    return modeldir.read(_path(config, model))


def _load_online(config: EngineConfig, backend: Backend) -> OnlineModel | None:
    if config.online is None:
        return None
    model = _directory(config, config.online)
    dims = read_dims(model, streaming=True)
    return OnlineModel(model, dims, backend.load(model, STREAMING_GRAPH, streaming_graph_sizes(dims)), backend.arrays)


def _load_offline(config: EngineConfig, backend: Backend) -> Recogniser | None:
    if config.offline is None:
        return None
    path = _path(config, config.offline)
    if whisper.is_whisper(path):
        return whisper.load(path, config.device, config.dtype, config.threads)
    model = modeldir.read(path)
    if model.model_class == "SenseVoiceSmall":
        from asrpool_worker.engine.sensevoice import dims as sensevoice
        from asrpool_worker.engine.sensevoice.model import SenseVoiceModel

        sizes = sensevoice.read_dims(model)
        graph = backend.load(model, sensevoice.GRAPH, sensevoice.graph_sizes(sizes))
        return SenseVoiceModel(model, sizes, graph, backend.arrays)
    if model.model_class in OFFLINE_CLASSES:
        dims = read_dims(model, streaming=False)
        graph = backend.load(model, OFFLINE_GRAPH, offline_graph_sizes(dims))
        return OfflineModel(model, dims, graph, backend.arrays)
    from asrpool_worker.engine.seaco import model as seaco

    if model.model_class in seaco.CLASSES:
        return seaco.load(model, backend)
    known = ", ".join(sorted({*OFFLINE_CLASSES, *seaco.CLASSES, "SenseVoiceSmall"}))
    raise ModelError(
        f"{model.path}/config.yaml: model {model.model_class} cannot serve as offline model (can: {known})"
    )


def _load_vad(config: EngineConfig, backend: Backend) -> VadModel | None:
    if config.vad is None:
        return None
    model = _directory(config, config.vad)
    dims, times = read_vad(model)
    return VadModel(model, dims, times, backend.load(model, VAD_GRAPH, vad_graph_sizes(dims)), backend.arrays)


def _load_punc(config: EngineConfig, backend: Backend) -> PuncModel | None:
    if config.punc is None:
        return None
    from asrpool_worker.engine.punctuation.dims import graph_sizes, read_dims

    model = _directory(config, config.punc)
    dims = read_dims(model)
    return PuncModel(model, dims, backend.load(model, dims.graph, graph_sizes(dims)), backend.arrays)


def _load_speaker(config: EngineConfig, backend: Backend) -> SpeakerModel | None:
    if config.speaker is None:
        return None
    from asrpool_worker.engine.speaker.dims import GRAPH, graph_sizes, read_dims

    model = _directory(config, config.speaker)
    dims = read_dims(model)
    return SpeakerModel(model, dims, backend.load(model, GRAPH, graph_sizes(dims)), backend.arrays)


def _enrol(config: EngineConfig, speaker: SpeakerModel | None) -> Roster:
    if config.speakers is None or speaker is None:
        return Roster({})
    from asrpool_worker.engine.speaker.enrol import enrol

    return enrol(config.speakers, speaker)


def _load_itn(config: EngineConfig) -> Callable[[str, str], str] | None:
    if not config.itn:
        return None
    from asrpool_worker.engine import itn

    itn.load()
    return itn.inverse


def _shared_frontend(
    online: OnlineModel | None, offline: Recogniser | None, vad: VadModel | None
) -> modeldir.FrontendConfig:
    """The filter bank that all models read; a stream is framed once for all of them."""
    models = [model.model for model in (online, offline, vad) if model is not None]
    first = models[0]
    for other in models[1:]:
        ours, theirs = (
            (m.frontend.window, m.frontend.mel_bins, m.frontend.frame_length_samples, m.frontend.frame_shift_samples)
            for m in (first, other)
        )
        if ours != theirs:
            raise ModelError(
                f"{other.path}: its frontend_conf reads {theirs}, that of {first.path} {ours}; use models of one family"
            )
    return first.frontend


def run_on_silence(models: ModelSet) -> None:
    """Run each model once, so that the first stream does not pay for allocations and kernel choice, or to see whether it can."""
    if models.online is not None:
        shape = check_options(StreamOptions())
        slot = models.online.acquire(shape)
        try:
            models.online.step(
                [ChunkRow(slot, np.zeros((shape.frames, models.online.dims.feature_size), np.float32), final=False)]
            )
        finally:
            models.online.release(slot)
    if models.offline is not None:
        models.offline.run(
            [OfflineRow(np.zeros((WARM_UP_FRAMES, models.offline.model.frontend.feature_size), np.float32))]
        )
    if models.vad is not None:
        models.vad.step(
            [(np.zeros((WARM_UP_FRAMES, models.vad.dims.feature_size), np.float32), models.vad.fresh_past())]
        )
    if models.punc is not None:
        models.punc.run([PuncRow(WARM_UP_TEXT)])
    if models.speaker is not None:
        models.speaker.embed([np.zeros(2 * SAMPLE_RATE_HZ, np.float32)])
