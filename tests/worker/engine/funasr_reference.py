"""FunASR's own classes on the same directories: what the engine's results are compared with."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch

REGISTERED_BY = (
    "funasr.frontends.wav_frontend",
    "funasr.models.bicif_paraformer.cif_predictor",
    "funasr.models.bicif_paraformer.model",
    "funasr.models.fsmn_vad_streaming.encoder",
    "funasr.models.fsmn_vad_streaming.model",
    "funasr.models.paraformer.cif_predictor",
    "funasr.models.paraformer.decoder",
    "funasr.models.paraformer.model",
    "funasr.models.paraformer_streaming.model",
    "funasr.models.sanm.encoder",
    "funasr.models.scama.encoder",
    "funasr.tokenizer.char_tokenizer",
)


def auto_model(directory: Path) -> Any:
    """`funasr.AutoModel` on a local directory, on one CPU thread and without asking the network for updates."""
    for name in REGISTERED_BY:
        importlib.import_module(name)
    module: Any = importlib.import_module("funasr.auto.auto_model")
    model = module.AutoModel(
        model=str(directory), disable_update=True, device="cpu", ncpu=1, disable_pbar=True, log_level="ERROR"
    )
    torch.set_num_threads(1)
    return model
