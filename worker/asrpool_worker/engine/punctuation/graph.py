"""Both CT-Transformers as tensor functions."""

from __future__ import annotations

import torch

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.punctuation.dims import read_dims
from asrpool_worker.engine.punctuation.network import (
    INPUTS,
    OUTPUTS,
    REALTIME_INPUTS,
    Punctuation,
    RealtimePunctuation,
)
from asrpool_worker.engine.tensor_function import TensorFunction
from asrpool_worker.engine.weights import load_weights, without_weights


def build(model: ModelDir) -> TensorFunction:
    """The marks after the words of many texts. Raises `ModelError`."""
    dims = read_dims(model)
    with without_weights():
        module = RealtimePunctuation(dims) if dims.realtime else Punctuation(dims)
    load_weights(module, model.weights_path)
    rows, length = 2, 7
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(dims.vocabulary, (rows, length), generator=generator)
    word_mask = torch.ones(rows, length)
    word_mask[1, length - 2 :] = 0.0
    axes = {name: {0: "rows", 1: "words"} for name in (*INPUTS, *OUTPUTS)}
    if not dims.realtime:
        return TensorFunction(dims.graph, module, INPUTS, OUTPUTS, axes, (words, word_mask))
    axes["past_words"] = {0: "rows"}
    example = (words, word_mask, torch.tensor([3, 0]))
    return TensorFunction(dims.graph, module, REALTIME_INPUTS, OUTPUTS, axes, example)
