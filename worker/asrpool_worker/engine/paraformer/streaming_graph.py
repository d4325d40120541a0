"""Streaming Paraformer as a tensor function."""

from __future__ import annotations

import torch

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.paraformer.dims import STREAMING_GRAPH, cache_names, read_dims
from asrpool_worker.engine.paraformer.step import StreamingStep, input_names, output_names
from asrpool_worker.engine.tensor_function import TensorFunction
from asrpool_worker.engine.weights import load_weights, without_weights


def build(model: ModelDir) -> TensorFunction:
    """The step of `model` over one chunk of many sessions. Raises `ModelError`."""
    dims = read_dims(model, streaming=True)
    with without_weights():
        module = StreamingStep(dims)
    load_weights(module.model, model.weights_path)
    rows, frames, keys, memory, slots = 2, 6, 5, 4, 3
    generator = torch.Generator().manual_seed(0)
    caches = cache_names(dims)
    example = (
        torch.randn(rows, frames, dims.feature_size, generator=generator),
        torch.ones(rows, frames),
        torch.ones(rows, frames),
        torch.full((rows,), dims.cif_tail),
        torch.ones(rows, keys),
        torch.randn(rows, dims.size, generator=generator),
        torch.full((rows,), 0.5),
        torch.randn(rows, dims.decoder_blocks, dims.fsmn_frames, dims.size, generator=generator),
        torch.randn(rows, memory, dims.size, generator=generator),
        torch.ones(rows, memory),
        torch.tensor([2, 0]),
        *(torch.randn(slots, dims.encoder_heads, keys, dims.head_size, generator=generator) for _ in caches),
    )
    lengths = {
        "frames": "frames",
        "frame_mask": "frames",
        "alpha_mask": "frames",
        "key_mask": "keys",
        "memory_past": "memory",
        "memory_past_mask": "memory",
        "new_memory_past": "memory",
        "token_ids": "tokens",
    }
    inputs, outputs = input_names(dims), output_names(dims)
    axes = {name: {0: "rows"} for name in (*inputs, *outputs)}
    for name, axis in lengths.items():
        axes[name][1] = axis
    for name in caches:
        axes[name] = {0: "slots", 2: "keys"}
        axes[f"new_{name}"][2] = "frames"
    return TensorFunction(STREAMING_GRAPH, module, inputs, outputs, axes, example)
