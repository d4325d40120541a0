"""The settings of an engine, as the worker's own settings and tests give them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
