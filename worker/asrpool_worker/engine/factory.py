"""From settings to an engine: what cannot work is refused here, before anything is read from disk."""

from __future__ import annotations

from asrpool_worker.engine.engine import RecognitionEngine
from asrpool_worker.engine.engine_config import EngineConfig
from asrpool_worker.engine.messages import EngineObserver
from asrpool_worker.engine.model_loading import load_models
from asrpool_worker.engine.options import Limits
from asrpool_worker.engine.scheduler import Stage
from asrpool_worker.errors import SettingsError

__all__ = ["EngineConfig", "build_engine"]

DTYPES = {"onnx": ("float32", "int8"), "torch": ("float32", "float16", "bfloat16")}
PUNC_ROWS = 32
SPEAKER_ROWS = 8


def build_engine(config: EngineConfig, observer: EngineObserver | None = None) -> RecognitionEngine:
    """An engine that will load `config`'s models on `start`. Raises `SettingsError` for settings that cannot work."""
    if config.engine not in DTYPES:
        raise SettingsError(f"engine {config.engine!r} is unknown; use onnx or torch")
    if config.online is None and config.offline is None:
        raise SettingsError("no recogniser: give an online model, an offline model, or both")
    if config.dtype not in DTYPES[config.engine]:
        raise SettingsError(
            f"dtype {config.dtype} is not for engine {config.engine}; it has {', '.join(DTYPES[config.engine])}"
        )
    if config.speakers is not None and config.speaker is None:
        raise SettingsError("enrolled speakers need a speaker model: give both or neither")
    if min(config.threads, config.max_rows, config.max_offline_rows) < 1:
        raise SettingsError("threads and batch sizes must be at least 1")
    limits = Limits(config.max_utterance_seconds, config.max_backlog_seconds)
    max_rows = {
        Stage.VAD: 4 * config.max_rows,
        Stage.ONLINE: config.max_rows,
        Stage.OFFLINE: config.max_offline_rows,
        Stage.SPEAKER: SPEAKER_ROWS,
        Stage.PUNC: PUNC_ROWS,
    }
    return RecognitionEngine(lambda: load_models(config), limits, max_rows, observer)
