"""A Whisper directory in CTranslate2's form, as faster-whisper's users have it; the libraries are imported when it is loaded.

It holds `model.bin`, `config.json`, `vocabulary.json` (or .txt) and `tokenizer.json`. Weights of OpenAI or transformers are
turned into it once by CTranslate2's own `ct2-transformers-converter`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asrpool_worker.engine.modeldir import FrontendConfig, ModelDir
from asrpool_worker.engine.recogniser import Recogniser
from asrpool_worker.errors import ModelError, SettingsError

MODEL_CLASS = "Whisper"
WEIGHTS_NAME, TOKENIZER_NAME = "model.bin", "tokenizer.json"
VOCABULARY_NAMES = ("vocabulary.json", "vocabulary.txt")
CONVERT = "convert it with `ct2-transformers-converter --model DIR --output_dir OUT --copy_files tokenizer.json preprocessor_config.json`"
FRONTEND = FrontendConfig("hamming", 80, 400, 160, 1, 1)
"""The filter bank of FunASR's models, which a stream is framed with for VAD and streaming; Whisper itself reads samples."""


def is_whisper(path: Path) -> bool:
    """Whether the directory is of this family: CTranslate2's weights, and no FunASR configuration."""
    return (path / WEIGHTS_NAME).is_file() and not (path / "config.yaml").exists()


def read(path: Path) -> ModelDir:
    """The directory as the engine knows models. Raises `ModelError` naming the file that is missing."""
    if not is_whisper(path):
        raise ModelError(f"{path}: holds no {WEIGHTS_NAME}, so it is no Whisper of CTranslate2; {CONVERT}")
    if not (path / TOKENIZER_NAME).is_file():
        raise ModelError(f"{path / TOKENIZER_NAME}: missing; copy it from the original model")
    if not any((path / name).is_file() for name in VOCABULARY_NAMES):
        raise ModelError(f"{path / VOCABULARY_NAMES[0]}: missing; {CONVERT}")
    identity = np.array([np.zeros(FRONTEND.feature_size), np.ones(FRONTEND.feature_size)], dtype=np.float32)
    return ModelDir(path=path, model_class=MODEL_CLASS, config={}, frontend=FRONTEND, cmvn=identity)


def load(path: Path, device: str, compute_type: str, threads: int) -> Recogniser:
    """The directory's model, see `model.WhisperModel`. Raises `ModelError`, or `SettingsError` where its libraries are missing."""
    try:
        from asrpool_worker.engine.whisper.model import WhisperModel
    except ImportError as error:
        raise SettingsError(
            f"{path}: Whisper needs faster-whisper, which is not installed here ({error}); install asrpool[whisper]"
        ) from error
    return WhisperModel(path, device, compute_type, threads)
