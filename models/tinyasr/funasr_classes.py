"""FunASR's own model classes, imported without the rest of FunASR.

``import funasr`` loads every model it has (some 20 s and 900 MB). A stand-in package object with
the right search path lets single modules be imported instead; the classes are the real ones.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
import types
from typing import Any

import torch

_MODULES = (
    "funasr.models.paraformer_streaming.model",
    "funasr.models.paraformer.decoder",
    "funasr.models.scama.encoder",
    "funasr.models.sanm.encoder",
    "funasr.models.fsmn_vad_streaming.encoder",
    "funasr.models.fsmn_vad_streaming.model",
)
_SPEAKER_MODULE = "funasr.models.campplus.model"


def build(config: dict[str, Any]) -> torch.nn.Module:
    """Build the model that a FunASR ``config.yaml`` describes, with fresh weights."""
    if "funasr" not in sys.modules:
        _stand_in()
    # The speaker model brings librosa with it, which nothing else here needs.
    for name in (_SPEAKER_MODULE,) if config["model"] == "CAMPPlus" else _MODULES:
        importlib.import_module(name)
    tables = importlib.import_module("funasr.register").tables
    arguments = {**config, **config.get("model_conf", {})}
    model: torch.nn.Module = tables.model_classes[config["model"]](**arguments)
    return model


def _stand_in() -> None:
    spec = importlib.util.find_spec("funasr")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("funasr is not installed: install the extra `torch` of asrpool")
    package = types.ModuleType("funasr")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    package.__dict__["__version__"] = importlib.metadata.version("funasr")
    sys.modules["funasr"] = package
