"""CAM++ as a tensor function: the number of windows is open, their length is not."""

from __future__ import annotations

import torch

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.speaker.dims import GRAPH, read_dims
from asrpool_worker.engine.speaker.network import INPUTS, OUTPUTS, SpeakerNetwork
from asrpool_worker.engine.speaker.windows import WINDOW_FRAMES
from asrpool_worker.engine.tensor_function import TensorFunction
from asrpool_worker.engine.weights import load_weights, without_weights


def build(model: ModelDir) -> TensorFunction:
    """The network of `model` over many windows. Raises `ModelError`."""
    dims = read_dims(model)
    with without_weights():
        module = SpeakerNetwork(dims)
    load_weights(module, model.weights_path)
    generator = torch.Generator().manual_seed(0)
    example = (torch.randn(2, WINDOW_FRAMES, dims.feature_size, generator=generator),)
    axes = {name: {0: "rows"} for name in (*INPUTS, *OUTPUTS)}
    return TensorFunction(GRAPH, module.eval(), INPUTS, OUTPUTS, axes, example)
