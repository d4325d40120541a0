"""BiCif- and SeACo-Paraformer as tensor functions."""

from __future__ import annotations

import torch
from torch import Tensor

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.seaco.dims import (
    HOTWORD_CLASS,
    HOTWORD_GRAPH,
    TIMESTAMP_GRAPH,
    read_bicif,
    read_seaco,
)
from asrpool_worker.engine.seaco.network import (
    HOTWORD_INPUTS,
    HOTWORD_OUTPUTS,
    TIMESTAMP_INPUTS,
    TIMESTAMP_OUTPUTS,
    BiCifPass,
    SeacoPass,
)
from asrpool_worker.engine.tensor_function import TensorFunction
from asrpool_worker.engine.weights import load_weights

ROWS, FRAMES = 2, 9
AXES = {
    "frames": {0: "rows", 1: "frames"},
    "frame_mask": {0: "rows", 1: "frames"},
    "tail_mask": {0: "rows", 1: "frames_and_tail"},
    "alphas": {0: "rows", 1: "frames_and_tail"},
    "token_ids": {0: "rows", 1: "tokens"},
    "counts": {0: "rows"},
    "fine_alphas": {0: "rows", 1: "fine_frames"},
    "candidates": {0: "rows", 1: "tokens"},
    "scores": {0: "rows", 1: "tokens"},
    "word_ids": {0: "words", 1: "word_tokens"},
    "word_last": {0: "words"},
    "known_words": {0: "known_words"},
    "word_vectors": {0: "words"},
    "hotwords": {0: "rows", 1: "row_hotwords"},
    "hotword_mask": {0: "rows", 1: "row_hotwords"},
    "bias_weight": {0: "rows"},
}


def build(model: ModelDir) -> TensorFunction:
    """The pass of `model` over many utterances, with hotwords where it has a bias encoder. Raises `ModelError`."""
    generator = torch.Generator().manual_seed(0)
    if model.model_class == HOTWORD_CLASS:
        dims = read_seaco(model)
        seaco = SeacoPass(dims)
        load_weights(seaco, model.weights_path)
        words = (
            torch.randint(dims.paraformer.vocabulary, (7, 5), generator=generator),
            torch.tensor([0, 1, 2, 3, 4, 1, 0]),
            torch.randn(3, dims.paraformer.size, generator=generator),
            torch.tensor([[0, 3, 9, 1], [0, 6, 5, 7]]),
            torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]]),
            torch.tensor([1.0, 0.0]),
        )
        example = (*_utterances(dims.paraformer.feature_size, generator), *words)
        return TensorFunction(
            HOTWORD_GRAPH, seaco, HOTWORD_INPUTS, HOTWORD_OUTPUTS, _axes(HOTWORD_INPUTS, HOTWORD_OUTPUTS), example
        )
    plain = read_bicif(model)
    bicif = BiCifPass(plain)
    load_weights(bicif, model.weights_path)
    example = _utterances(plain.paraformer.feature_size, generator)
    return TensorFunction(
        TIMESTAMP_GRAPH, bicif, TIMESTAMP_INPUTS, TIMESTAMP_OUTPUTS, _axes(TIMESTAMP_INPUTS, TIMESTAMP_OUTPUTS), example
    )


def _utterances(feature_size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    tail = torch.zeros(ROWS, FRAMES + 1)
    tail[:, FRAMES] = 1.0
    return torch.randn(ROWS, FRAMES, feature_size, generator=generator), torch.ones(ROWS, FRAMES), tail


def _axes(inputs: tuple[str, ...], outputs: tuple[str, ...]) -> dict[str, dict[int, str]]:
    return {name: AXES[name] for name in (*inputs, *outputs)}
