"""SenseVoiceSmall as a tensor function."""

from __future__ import annotations

import torch

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.sensevoice.dims import GRAPH, LANGUAGE_QUERIES, STYLE_QUERIES, read_dims
from asrpool_worker.engine.sensevoice.network import INPUTS, OUTPUTS, SenseVoice
from asrpool_worker.engine.sensevoice.vocabulary import read_vocabulary
from asrpool_worker.engine.tensor_function import TensorFunction
from asrpool_worker.engine.weights import load_weights


def build(model: ModelDir) -> TensorFunction:
    """The pass of `model` over many utterances. Raises `ModelError`."""
    dims = read_dims(model)
    module = SenseVoice(dims, len(read_vocabulary(model)))
    load_weights(module, model.weights_path)
    rows, frames = 2, 9
    generator = torch.Generator().manual_seed(0)
    frame_mask = torch.ones(rows, frames)
    frame_mask[1, frames - 3 :] = 0.0
    example = (
        torch.randn(rows, frames, dims.feature_size, generator=generator),
        frame_mask,
        torch.tensor([LANGUAGE_QUERIES["auto"], LANGUAGE_QUERIES["en"]]),
        torch.tensor([STYLE_QUERIES[True], STYLE_QUERIES[False]]),
    )
    axes = {name: {0: "rows"} for name in (*INPUTS, *OUTPUTS)}
    axes["frames"][1] = axes["frame_mask"][1] = "frames"
    axes["token_ids"][1] = "places"
    return TensorFunction(GRAPH, module, INPUTS, OUTPUTS, axes, example)
