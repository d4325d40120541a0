"""From the process's settings to an engine: the only place where the server names the engine's factory."""

from __future__ import annotations

import logging

from asrpool_worker.engine.messages import Engine, EngineObserver
from asrpool_worker.settings import Settings

log = logging.getLogger(__name__)


def build_engine(settings: Settings, observer: EngineObserver) -> Engine:
    """An engine that is not started yet. Imported late: the ports listen before the model runtime is read from disk."""
    from asrpool_worker.engine.factory import EngineConfig
    from asrpool_worker.engine.factory import build_engine as build

    if settings.offline is None and (settings.punc or settings.speaker or settings.itn):
        log.warning("--punc, --speaker and --itn act on final texts, which need --offline: they have no effect here")
    config = EngineConfig(
        engine=settings.engine,
        device=settings.device,
        dtype=settings.dtype,
        online=settings.online,
        offline=settings.offline,
        vad=settings.vad,
        punc=settings.punc,
        speaker=settings.speaker,
        speakers=settings.speakers,
        itn=settings.itn,
        hub=settings.hub,
        model_cache=settings.model_cache,
        threads=settings.threads,
        max_rows=settings.max_batch,
    )
    return build(config, observer)
