"""The FSMN-VAD as a tensor function."""

from __future__ import annotations

import torch

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.tensor_function import TensorFunction
from asrpool_worker.engine.vad.dims import GRAPH, read_vad
from asrpool_worker.engine.vad.network import INPUTS, OUTPUTS, VadStep
from asrpool_worker.engine.weights import load_weights, without_weights


def build(model: ModelDir) -> TensorFunction:
    """The step of `model` over the frames of many sessions. Raises `ModelError`."""
    dims, _ = read_vad(model)
    with without_weights():
        module = VadStep(dims)
    load_weights(module, model.weights_path)
    rows, frames = 2, 7
    generator = torch.Generator().manual_seed(0)
    example = (
        torch.randn(rows, frames, dims.feature_size, generator=generator),
        torch.tensor([frames, frames - 2]),
        torch.randn(rows, dims.blocks, dims.past_frames, dims.projection, generator=generator),
    )
    axes = {name: {0: "rows"} for name in (*INPUTS, *OUTPUTS)}
    axes["frames"][1] = axes["silence"][1] = "frames"
    return TensorFunction(GRAPH, module, INPUTS, OUTPUTS, axes, example)
