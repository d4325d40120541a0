"""The committed model directories: what FunASR and the worker need is there, and nothing large."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
import yaml

from tests.models.recognise import MODELS
from tinyasr import configuration, folders, lexicon, train_asr

_NAMES = ("paraformer-tiny-streaming", "paraformer-tiny", "fsmn-vad-tiny", "campplus-tiny")
_RECOGNISERS = _NAMES[:2]


def _config(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((MODELS / name / "config.yaml").read_text(encoding="utf-8"))
    return loaded


def test_all_directories_are_under_thirty_megabytes() -> None:
    """With their ONNX exports."""
    size_bytes = sum(path.stat().st_size for name in _NAMES for path in (MODELS / name).rglob("*"))
    assert size_bytes < 30e6


def test_the_speaker_model_is_under_three_megabytes() -> None:
    """`model.pt` and its graph in full precision."""
    files = (MODELS / "campplus-tiny" / name for name in ("config.yaml", "model.pt", "model.onnx"))
    assert sum(path.stat().st_size for path in files) < 3e6


@pytest.mark.parametrize("name", _NAMES)
def test_weights_load_without_unpickling_code(name: str) -> None:
    weights = torch.load(MODELS / name / "model.pt", weights_only=True)
    assert all(isinstance(tensor, torch.Tensor) and torch.isfinite(tensor).all() for tensor in weights.values())


@pytest.mark.parametrize("name", _NAMES[:3])
def test_features_are_repeatable(name: str) -> None:
    """Dither would make the same audio give another text each time."""
    assert _config(name)["frontend_conf"]["dither"] == 0.0


@pytest.mark.parametrize("name", _RECOGNISERS)
def test_tokens_are_the_lexicons(name: str) -> None:
    assert json.loads((MODELS / name / "tokens.json").read_text(encoding="utf-8")) == lexicon.token_list()


def test_configurations_are_those_of_the_training_code() -> None:
    size = len(lexicon.token_list())
    assert _config("paraformer-tiny-streaming") == configuration.streaming(size)
    assert _config("paraformer-tiny") == configuration.offline(size)
    assert _config("fsmn-vad-tiny") == configuration.vad()
    assert _config("campplus-tiny") == configuration.speaker()


def test_written_directory_gives_back_the_weights(tmp_path: Any) -> None:
    model = train_asr.fresh(streaming=True)
    mean = torch.zeros(80).numpy()
    folders.write(tmp_path, configuration.streaming(86), model, mean, mean + 1, lexicon.token_list())
    weights = torch.load(tmp_path / "model.pt", weights_only=True)
    again = train_asr.fresh(streaming=True)
    torch.nn.init.zeros_(again.decoder.output_layer.weight)
    again.load_state_dict(weights)
    assert torch.equal(again.decoder.output_layer.weight, model.decoder.output_layer.weight)
