"""The random weights follow what they should: the VAD the energy, the CIF about four tokens a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.features import FilterBank, stack, stacked_count
from asrpool_worker.engine.paraformer.dims import read_dims
from asrpool_worker.engine.paraformer.layers import CifWeights
from asrpool_worker.engine.vad.dims import read_vad
from asrpool_worker.engine.vad.endpointer import Begin, Endpointer
from asrpool_worker.engine.vad.network import VadStep
from bench.streams import model_dirs, weights
from bench.streams.configs import SHAPES, paraformer_config, vad_config
from bench.streams.speech import speech

pytestmark = pytest.mark.model


def directory(path: Path, config: dict[str, object], lfr_m: int) -> modeldir.ModelDir:
    (path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    model_dirs.write_cmvn(path / "am.mvn", 80 * lfr_m)
    if config["model"] != "FsmnVADStreaming":
        model_dirs.write_tokens(path / "tokens.json", SHAPES["small"].tokens)
    return modeldir.read(path)


def test_the_vad_finds_the_sentences_of_the_bench_speech(tmp_path: Path) -> None:
    model = directory(tmp_path, vad_config(), 5)
    dims, times = read_vad(model)
    torch.manual_seed(0)
    network = VadStep(dims)
    weights.shape(network, "FsmnVADStreaming")
    audio = np.frombuffer(speech(30, seed=1).data, dtype="<i2").astype(np.float32) / np.float32(32768)
    mels = FilterBank(model.frontend).push(audio)
    count = stacked_count(model.frontend, len(mels), final=True)
    frames = torch.from_numpy(stack(model.frontend, model.cmvn, mels, 0, count))[None]
    past = torch.zeros(1, dims.blocks, dims.past_frames, dims.projection)
    with torch.no_grad():
        silence, _ = network(frames, torch.tensor([count]), past)
    boundaries = Endpointer(times).push(silence[0].tolist(), final=True)
    begins = [boundary for boundary in boundaries if isinstance(boundary, Begin)]
    assert 4 <= len(begins) <= 10
    assert 0.2 < (silence > 0.5).float().mean() < 0.6, "sentences and pauses, not one of them alone"


def test_the_cif_gives_four_tokens_a_second(tmp_path: Path) -> None:
    model = directory(tmp_path, paraformer_config(SHAPES["small"], streaming=True), 7)
    dims = read_dims(model, streaming=True)
    torch.manual_seed(0)
    module = torch.nn.Module()
    module.predictor = CifWeights(dims)
    module.decoder = torch.nn.Module()
    module.decoder.output_layer = torch.nn.Linear(4, dims.vocabulary)
    weights.shape(module, "ParaformerStreaming")
    with torch.no_grad():
        alphas = module.predictor(torch.randn(1, 500, dims.size))
    assert alphas.sum().item() / (500 * 0.06) == pytest.approx(4.0, rel=0.05)
    assert module.decoder.output_layer.bias[[0, 1, 2, -1]].max() < -1000, (
        "a control token would be a partial without text"
    )
