"""From settings to an engine: which models, which of the two backends, how large its batches may be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.backend import Backend
from asrpool_worker.engine.engine import LoadedModels, RecognitionEngine
from asrpool_worker.engine.messages import EngineObserver, StreamOptions
from asrpool_worker.engine.model_set import ModelSet
from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.options import Limits, check_options
from asrpool_worker.engine.paraformer.dims import (
    OFFLINE_GRAPH,
    STREAMING_GRAPH,
    offline_graph_sizes,
    read_dims,
    streaming_graph_sizes,
)
from asrpool_worker.engine.paraformer.offline_model import OfflineModel
from asrpool_worker.engine.paraformer.online_model import ChunkRow, OnlineModel
from asrpool_worker.engine.recogniser import OfflineRow, Recogniser
from asrpool_worker.engine.scheduler import Stage
from asrpool_worker.engine.seaco import model as seaco
from asrpool_worker.engine.vad.dims import GRAPH as VAD_GRAPH
from asrpool_worker.engine.vad.dims import graph_sizes, read_vad
from asrpool_worker.engine.vad.model import VadModel
from asrpool_worker.errors import ModelError, SettingsError

logger = logging.getLogger(__name__)
Loaded = TypeVar("Loaded")
WARM_UP_FRAMES = 20


@dataclass(frozen=True)
class EngineConfig:
    """Settings of the engine. Models are paths of FunASR directories or names on `hub`; None where not wanted.

    `dtype` int8 takes the graphs that `asrpool-worker export --int8` wrote. `speakers` is a folder of enrolled voices
    (NAME.wav or NAME/*.wav); `itn` writes numbers, dates and money as figures in final texts. `threads` are those of the model
    library; `max_rows` bounds a batch of the streaming model (VAD batches may be larger, second passes smaller).
    """

    engine: str = "onnx"
    device: str = "cpu"
    dtype: str = "float32"
    online: str | None = None
    offline: str | None = None
    vad: str | None = None
    punc: str | None = None
    speaker: str | None = None
    speakers: Path | None = None
    itn: bool = False
    hub: str = "modelscope"
    model_cache: Path | None = None
    threads: int = 1
    max_rows: int = 32
    max_offline_rows: int = 8
    max_utterance_seconds: float = 60.0
    max_backlog_seconds: float = 600.0


def build_engine(config: EngineConfig, observer: EngineObserver | None = None) -> RecognitionEngine:
    """An engine that will load `config`'s models on `start`. Raises `SettingsError` for settings that cannot work."""
    if config.engine not in ("onnx", "torch"):
        raise SettingsError(f"engine {config.engine!r} is unknown; use onnx or torch")
    if config.online is None and config.offline is None:
        raise SettingsError("no recogniser: give an online model, an offline model, or both")
    if config.punc is not None:
        logger.warning("punctuation is not served yet: %s is not loaded, texts come without it", config.punc)
    if config.engine == "onnx" and config.dtype != "float32":
        raise SettingsError(f"dtype {config.dtype} is for the torch engine; onnx graphs carry their own type")
    if min(config.threads, config.max_rows, config.max_offline_rows) < 1:
        raise SettingsError("threads and batch sizes must be at least 1")
    limits = Limits(config.max_utterance_seconds, config.max_backlog_seconds)
    max_rows = {Stage.VAD: 4 * config.max_rows, Stage.ONLINE: config.max_rows, Stage.OFFLINE: config.max_offline_rows}
    return RecognitionEngine(lambda: _load(config), limits, max_rows, observer)


def _load(config: EngineConfig) -> LoadedModels:
    phases: dict[str, float] = {}
    backend = _timed(phases, "engine", lambda: _backend(config))
    online = _timed(phases, "online", lambda: _load_online(config, backend))
    offline = _timed(phases, "offline", lambda: _load_offline(config, backend))
    vad = _timed(phases, "vad", lambda: _load_vad(config, backend))
    models = ModelSet(_shared_frontend(online, offline, vad), online, offline, vad)
    _timed(phases, "warm_up", lambda: run_on_silence(models))
    return LoadedModels(models, phases, lambda: run_on_silence(models))


def _timed(phases: dict[str, float], name: str, work: Callable[[], Loaded]) -> Loaded:
    began = time.monotonic()
    result = work()
    phases[name] = time.monotonic() - began
    return result


def _backend(config: EngineConfig) -> Backend:
    if config.engine == "onnx":
        from asrpool_worker.engine.onnx_backend import OnnxBackend

        return OnnxBackend(config.device, config.threads)
    try:
        from asrpool_worker.engine.torch_backend import TorchBackend
    except ImportError as error:
        raise SettingsError(
            f"engine torch needs torch, which is not installed here ({error}); use engine onnx"
        ) from error
    return TorchBackend(config.device, config.dtype, config.threads)


def _directory(config: EngineConfig, model: str) -> ModelDir:
    if config.engine == "onnx" and modeldir.is_name(model):
        raise ModelError(
            f"{model}: is no directory here, and models fetched by id have no graph for engine onnx; use engine torch, or"
            " fetch it, run `asrpool-worker export DIR` where torch is installed, and give DIR"
        )
    return modeldir.read(modeldir.resolve(model, config.hub, config.model_cache))


def _load_online(config: EngineConfig, backend: Backend) -> OnlineModel | None:
    if config.online is None:
        return None
    model = _directory(config, config.online)
    dims = read_dims(model, streaming=True)
    return OnlineModel(model, dims, backend.load(model, STREAMING_GRAPH, streaming_graph_sizes(dims)), backend.arrays)


def _load_offline(config: EngineConfig, backend: Backend) -> Recogniser | None:
    if config.offline is None:
        return None
    model = _directory(config, config.offline)
    if model.model_class in seaco.CLASSES:
        return seaco.load(model, backend)
    dims = read_dims(model, streaming=False)
    return OfflineModel(model, dims, backend.load(model, OFFLINE_GRAPH, offline_graph_sizes(dims)), backend.arrays)


def _load_vad(config: EngineConfig, backend: Backend) -> VadModel | None:
    if config.vad is None:
        return None
    model = _directory(config, config.vad)
    dims, times = read_vad(model)
    return VadModel(model, dims, times, backend.load(model, VAD_GRAPH, graph_sizes(dims)), backend.arrays)


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
