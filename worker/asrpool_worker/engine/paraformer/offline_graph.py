"""Whole-utterance Paraformer as a tensor function."""

from __future__ import annotations

import torch

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.paraformer.dims import OFFLINE_GRAPH, read_dims
from asrpool_worker.engine.paraformer.offline import INPUTS, OUTPUTS, OfflinePass
from asrpool_worker.engine.tensor_function import TensorFunction
from asrpool_worker.engine.weights import load_weights, without_weights


def build(model: ModelDir) -> TensorFunction:
    """The pass of `model` over many utterances. Raises `ModelError`."""
    dims = read_dims(model, streaming=False)
    with without_weights():
        module = OfflinePass(dims)
    load_weights(module.model, model.weights_path)
    rows, frames = 2, 9
    generator = torch.Generator().manual_seed(0)
    tail = torch.zeros(rows, frames + 1)
    tail[:, frames] = 1.0
    example = (torch.randn(rows, frames, dims.feature_size, generator=generator), torch.ones(rows, frames), tail)
    axes = {name: {0: "rows", 1: "frames"} for name in INPUTS}
    axes["tail_mask"] = axes["alphas"] = {0: "rows", 1: "frames_and_tail"}
    axes["token_ids"] = axes["candidates"] = axes["scores"] = {0: "rows", 1: "tokens"}
    axes["counts"] = {0: "rows"}
    return TensorFunction(OFFLINE_GRAPH, module, INPUTS, OUTPUTS, axes, example)
