"""What a FunASR model directory says, read without FunASR and without torch.

A directory holds `config.yaml` (FunASR's own keys), `tokens.json` or a sentencepiece model, `am.mvn`, the weights
`model.pt` and, after `asrpool-worker export`, the graph `model.onnx`. This module turns what comes before the weights
into typed values once at start, and answers every defect with a `ModelError` that names the file and what to do.
`resolve` turns what a user writes (a path, or a name on a model hub) into such a directory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from asrpool_worker.errors import ModelError

FloatArray = npt.NDArray[np.float32]
NO_CMVN: FloatArray = np.zeros((2, 0), dtype=np.float32)
"""Of a model that reads no audio: it has no front end, and so no statistics."""

HUB_ALIASES: dict[str, dict[str, str]] = {
    "modelscope": {
        "paraformer": "iic/speech_paraformer-large_asr_nat-zh-cn-16k-common-vocab8404-pytorch",
        "paraformer-zh": "iic/speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch",
        "paraformer-en": "iic/speech_paraformer-large-vad-punc_asr_nat-en-16k-common-vocab10020",
        "paraformer-zh-streaming": "iic/speech_paraformer-large_asr_nat-zh-cn-16k-common-vocab8404-online",
        "fsmn-vad": "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch",
        "ct-punc": "iic/punc_ct-transformer_cn-en-common-vocab471067-large",
        "ct-punc-c": "iic/punc_ct-transformer_zh-cn-common-vocab272727-pytorch",
        "SenseVoiceSmall": "iic/SenseVoiceSmall",
        "cam++": "iic/speech_campplus_sv_zh-cn_16k-common",
    },
    "huggingface": {
        "paraformer": "funasr/paraformer-zh",
        "paraformer-zh": "funasr/paraformer-zh",
        "paraformer-en": "funasr/paraformer-en",
        "paraformer-zh-streaming": "funasr/paraformer-zh-streaming",
        "fsmn-vad": "funasr/fsmn-vad",
        "ct-punc": "funasr/ct-punc",
        "SenseVoiceSmall": "FunAudioLLM/SenseVoiceSmall",
        "Whisper-large-v2": "Systran/faster-whisper-large-v2",
        "Whisper-large-v3": "Systran/faster-whisper-large-v3",
        "Whisper-large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        "cam++": "funasr/campplus",
    },
}
"""The short names that FunASR's users know, by hub."""


@dataclass(frozen=True)
class FrontendConfig:
    """How samples become feature frames; lengths in samples at 16 kHz."""

    window: str
    mel_bins: int
    frame_length_samples: int
    frame_shift_samples: int
    lfr_m: int
    lfr_n: int

    @property
    def feature_size(self) -> int:
        """Values in one stacked (low frame rate) frame."""
        return self.mel_bins * self.lfr_m


@dataclass(frozen=True)
class ModelDir:
    """One model directory, read and checked. `cmvn` is (2, feature_size): shift, then scale."""

    path: Path
    model_class: str
    config: dict[str, Any]
    frontend: FrontendConfig
    cmvn: FloatArray
    tokens: tuple[str, ...] = field(default=())
    sentencepiece_path: Path | None = None
    """The sentencepiece model, in directories whose tokenizer is one; those may do without tokens.json."""

    @property
    def weights_path(self) -> Path:
        """Where FunASR keeps the weights: the file that configuration.json names, else model.pt."""
        named = _hub_files(self.path).get("init_param")
        if isinstance(named, str) and named and (self.path / named).is_file():
            return self.path / named
        return self.path / "model.pt"

    @property
    def onnx_path(self) -> Path:
        """Where `asrpool-worker export` writes the graph."""
        return self.path / "model.onnx"

    @property
    def int8_path(self) -> Path:
        """Where `asrpool-worker export --int8` writes the graph with 8-bit weights."""
        return self.path / "model.int8.onnx"

    def section(self, name: str) -> dict[str, Any]:
        """A mapping of config.yaml, empty when absent."""
        value = self.config.get(name) or {}
        if not isinstance(value, dict):
            raise ModelError(f"{self.path}/config.yaml: {name} must be a mapping, not {type(value).__name__}")
        return value


def is_name(model: str) -> bool:
    """Whether `model` can only be the name of a model on a hub: no directory, and nothing that looks like the path of one."""
    path = Path(model).expanduser()
    is_path = path.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1
    return not is_path and not path.is_dir()


def resolve(model: str, hub: str = "modelscope", cache: Path | None = None) -> Path:
    """The local directory of `model`: an existing path, else a name on `hub` (downloaded into `cache`).

    The hub clients are imported only here, so that an image without them still serves local directories.
    """
    if not is_name(model):
        path = Path(model).expanduser()
        if path.is_dir():
            return path
        raise ModelError(f"{model}: no such model directory; mount it or correct the path")
    if hub not in HUB_ALIASES:
        raise ModelError(f"unknown model hub {hub!r}; use one of {', '.join(sorted(HUB_ALIASES))}")
    name = HUB_ALIASES[hub].get(model, model)
    if "/" not in name:
        known = ", ".join(sorted(HUB_ALIASES[hub]))
        raise ModelError(f"{model}: neither a directory nor a known model name ({known}) nor owner/name on {hub}")
    try:
        return _download(name, hub, cache)
    except ImportError as error:
        package = "modelscope" if hub == "modelscope" else "huggingface_hub"
        raise ModelError(f"{model}: not a directory here, and {package} is not installed to fetch {name}") from error


def _download(name: str, hub: str, cache: Path | None) -> Path:
    cache_dir = None if cache is None else str(cache)
    try:
        if hub == "modelscope":
            from modelscope import snapshot_download as fetch_modelscope

            return Path(fetch_modelscope(name, cache_dir=cache_dir))
        from huggingface_hub import snapshot_download as fetch_huggingface

        return Path(fetch_huggingface(name, cache_dir=cache_dir))
    except ImportError:
        raise
    except Exception as error:  # each hub client has errors of its own
        raise ModelError(
            f"{name}: could not be fetched from {hub} ({error}); check the name and the network"
        ) from error


def read(path: Path) -> ModelDir:
    """Read and check a model directory. Raises `ModelError` naming the file at fault."""
    if not path.is_dir():
        raise ModelError(f"{path}: no such model directory")
    config = _read_config(path / "config.yaml")
    model_class = config.get("model")
    if not isinstance(model_class, str):
        raise ModelError(f"{path}/config.yaml: key 'model' (the FunASR class) is missing")
    frontend = _frontend(path, config)
    sentencepiece_path = _sentencepiece_path(path, config)
    tokens_path = path / "tokens.json"
    has_tokens = "tokenizer" in config and (sentencepiece_path is None or tokens_path.is_file())
    return ModelDir(
        path=path,
        model_class=model_class,
        config=config,
        frontend=frontend,
        cmvn=_read_cmvn(path / "am.mvn", frontend.feature_size) if "frontend" in config else NO_CMVN,
        tokens=_read_tokens(tokens_path) if has_tokens else (),
        sentencepiece_path=sentencepiece_path,
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path}: missing; a FunASR model directory is needed") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: must hold a mapping")
    return config


def _frontend(path: Path, config: dict[str, Any]) -> FrontendConfig:
    values = config.get("frontend_conf") or {}
    try:
        rate = int(values.get("fs", 16_000))
        frontend = FrontendConfig(
            window=str(values.get("window", "hamming")),
            mel_bins=int(values.get("n_mels", 80)),
            frame_length_samples=int(values.get("frame_length", 25)) * rate // 1000,
            frame_shift_samples=int(values.get("frame_shift", 10)) * rate // 1000,
            lfr_m=int(values.get("lfr_m", 1)),
            lfr_n=int(values.get("lfr_n", 1)),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}/config.yaml: frontend_conf is malformed ({error})") from error
    if rate != 16_000:
        raise ModelError(f"{path}/config.yaml: frontend_conf.fs is {rate}; only 16000 Hz models are served")
    if min(frontend.mel_bins, frontend.lfr_m, frontend.lfr_n, frontend.frame_shift_samples) < 1:
        raise ModelError(f"{path}/config.yaml: frontend_conf has a value below 1")
    return frontend


def _sentencepiece_path(path: Path, config: dict[str, Any]) -> Path | None:
    """The directory's sentencepiece model, looked for as FunASR does: what configuration.json names, bpe.model, what config.yaml names."""
    if config.get("tokenizer") != "SentencepiecesTokenizer":
        return None
    confs = (_hub_files(path).get("tokenizer_conf"), config.get("tokenizer_conf"))
    named, configured = (conf.get("bpemodel") if isinstance(conf, dict) else None for conf in confs)
    names = (named, "bpe.model", configured)
    found = (path / name for name in names if isinstance(name, str) and name)
    return next((file for file in found if file.is_file()), None)


def _hub_files(path: Path) -> dict[str, Any]:
    """What configuration.json, a hub's file, says of the others; directories without it are common."""
    try:
        named = json.loads((path / "configuration.json").read_text(encoding="utf-8"))["file_path_metas"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return named if isinstance(named, dict) else {}


def _read_tokens(path: Path) -> tuple[str, ...]:
    try:
        tokens = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path}: missing; copy it from the original model") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ModelError(f"{path}: must hold a list of strings")
    return tuple(tokens)


def _read_cmvn(path: Path, size: int) -> FloatArray:
    """Kaldi's text form: the rows after <AddShift> and <Rescale>, values between '[' and ']'."""
    rows: dict[str, list[float]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        for here, following in pairwise(lines):
            name = here.split(maxsplit=1)[0] if here.strip() else ""
            if name in ("<AddShift>", "<Rescale>"):
                rows[name] = [
                    float(value) for value in following[following.index("[") + 1 : following.index("]")].split()
                ]
    except FileNotFoundError as error:
        raise ModelError(f"{path}: missing; copy it from the original model") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    if {name: len(row) for name, row in rows.items()} != {"<AddShift>": size, "<Rescale>": size}:
        raise ModelError(f"{path}: needs <AddShift> and <Rescale> rows of {size} values, as frontend_conf says")
    return np.array([rows["<AddShift>"], rows["<Rescale>"]], dtype=np.float32)
