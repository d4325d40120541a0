"""`asrpool-worker export DIR`: write model.onnx beside model.pt, so that the onnx engine needs no torch.

The graph is the very function that the torch engine runs, traced with every length left open. What is written is marked
in its metadata, loaded again with onnxruntime and compared with torch on random rows before it replaces an older file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.onnx_backend import GRAPH_PROPERTY, GRAPH_VERSION
from asrpool_worker.engine.paraformer import dims as paraformer_dims
from asrpool_worker.engine.paraformer import offline, step
from asrpool_worker.engine.paraformer.dims import ParaformerDims, read_dims
from asrpool_worker.engine.vad import network
from asrpool_worker.engine.vad.dims import VadDims, read_vad
from asrpool_worker.engine.weights import load_weights
from asrpool_worker.errors import AsrpoolWorkerError, ModelError

OPSET = 17
TOLERANCE = 2e-3
"""Largest difference of any output value between torch and the exported graph (seen: below 1e-4)."""


@dataclass(frozen=True)
class Exported:
    """A function to export, with random inputs that show which lengths are open."""

    name: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axes: dict[str, dict[int, str]]
    example: tuple[Tensor, ...]


def export_directory(directory: Path) -> Path:
    """Write `directory`/model.onnx. Raises `ModelError` when the directory is at fault or the graph does not agree with torch."""
    model = modeldir.read(directory)
    if not model.weights_path.is_file():
        raise ModelError(f"{model.weights_path}: missing; copy it from the original model")
    if model.model_class == "FsmnVADStreaming":
        vad_dims, _ = read_vad(model)
        vad = network.VadStep(vad_dims)
        load_weights(vad, model.weights_path)
        exported = _vad(vad, vad_dims)
    elif model.model_class in paraformer_dims.ONLINE_CLASSES:
        online_dims = read_dims(model, streaming=True)
        streaming = step.StreamingStep(online_dims)
        load_weights(streaming.model, model.weights_path)
        exported = _online(streaming, online_dims)
    else:
        offline_dims = read_dims(model, streaming=False)
        whole = offline.OfflinePass(offline_dims)
        load_weights(whole.model, model.weights_path)
        exported = _offline(whole, offline_dims)
    _write(exported, model.onnx_path)
    return model.onnx_path


def _online(module: nn.Module, dims: ParaformerDims) -> Exported:
    rows, frames, keys, memory = 2, 6, 5, 4
    generator = torch.Generator().manual_seed(0)
    example = (
        torch.randn(rows, frames, dims.feature_size, generator=generator),
        torch.ones(rows, frames),
        torch.ones(rows, frames),
        torch.full((rows,), dims.cif_tail),
        torch.randn(rows, dims.encoder_blocks, keys, 2 * dims.size, generator=generator),
        torch.ones(rows, keys),
        torch.randn(rows, dims.size, generator=generator),
        torch.full((rows,), 0.5),
        torch.randn(rows, dims.decoder_blocks, dims.fsmn_frames, dims.size, generator=generator),
        torch.randn(rows, memory, dims.size, generator=generator),
        torch.ones(rows, memory),
    )
    lengths = {
        "frames": "frames",
        "frame_mask": "frames",
        "alpha_mask": "frames",
        "key_mask": "keys",
        "memory_past_mask": "memory",
    }
    axes = {name: {0: "rows"} for name in (*step.INPUTS, *step.OUTPUTS)}
    for name, axis in {**lengths, "memory_past": "memory", "new_memory_past": "memory", "token_ids": "tokens"}.items():
        axes[name][1] = axis
    axes["keys"][2] = "keys"
    axes["new_keys"][2] = "frames"
    return Exported("online", module, step.INPUTS, step.OUTPUTS, axes, example)


def _offline(module: nn.Module, dims: ParaformerDims) -> Exported:
    rows, frames = 2, 9
    generator = torch.Generator().manual_seed(0)
    tail = torch.zeros(rows, frames + 1)
    tail[:, frames] = 1.0
    example = (torch.randn(rows, frames, dims.feature_size, generator=generator), torch.ones(rows, frames), tail)
    axes = {name: {0: "rows", 1: "frames"} for name in offline.INPUTS}
    axes["tail_mask"] = axes["alphas"] = {0: "rows", 1: "frames_and_tail"}
    axes["token_ids"] = {0: "rows", 1: "tokens"}
    axes["counts"] = {0: "rows"}
    return Exported("offline", module, offline.INPUTS, offline.OUTPUTS, axes, example)


def _vad(module: nn.Module, dims: VadDims) -> Exported:
    rows, frames = 2, 7
    generator = torch.Generator().manual_seed(0)
    example = (
        torch.randn(rows, frames, dims.feature_size, generator=generator),
        torch.tensor([frames, frames - 2]),
        torch.randn(rows, dims.blocks, dims.past_frames, dims.projection, generator=generator),
    )
    axes = {name: {0: "rows"} for name in (*network.INPUTS, *network.OUTPUTS)}
    axes["frames"][1] = axes["silence"][1] = "frames"
    return Exported("vad", module, network.INPUTS, network.OUTPUTS, axes, example)


def _write(exported: Exported, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as scratch, warnings.catch_warnings():
        draft = Path(scratch) / path.name
        # The tracer warns about every shape it records; all of them are open axes, and _compare checks other shapes.
        warnings.simplefilter("ignore")
        exported.module.eval()
        with torch.no_grad():
            torch.onnx.export(
                exported.module,
                exported.example,
                str(draft),
                input_names=list(exported.inputs),
                output_names=list(exported.outputs),
                dynamic_axes=exported.axes,
                opset_version=OPSET,
                do_constant_folding=True,
                dynamo=False,
            )
        graph = onnx.load(str(draft))
        entry = graph.metadata_props.add()
        entry.key, entry.value = GRAPH_PROPERTY, f"{exported.name} {GRAPH_VERSION}"
        onnx.save(graph, str(draft))
        _compare(exported, draft)
        draft.replace(path)


def _compare(exported: Exported, path: Path) -> None:
    """Run torch and the graph on the example rows and on more rows than were traced."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    present = {entry.name for entry in session.get_inputs()}
    for repeats in (1, 3):
        inputs = tuple(tensor.repeat(repeats, *[1] * (tensor.dim() - 1)) for tensor in exported.example)
        with torch.no_grad():
            expected = exported.module(*inputs)
        named = {name: tensor.numpy() for name, tensor in zip(exported.inputs, inputs, strict=True) if name in present}
        for name, ours, theirs in zip(exported.outputs, session.run(None, named), expected, strict=True):
            if ours.shape != tuple(theirs.shape) or np.abs(ours - theirs.numpy()).max(initial=0.0) > TOLERANCE:
                raise ModelError(
                    f"{path.name}: output {name} of the exported graph differs from torch; report the versions of both"
                )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: export each directory, one line a directory; 1 when one failed."""
    parser = argparse.ArgumentParser(
        prog="asrpool-worker export", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="a FunASR model directory")
    failed = 0
    for directory in parser.parse_args(arguments).directories:
        try:
            path = export_directory(directory)
        except AsrpoolWorkerError as error:
            print(f"{directory}: {error}", file=sys.stderr)
            failed = 1
        else:
            print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return failed


if __name__ == "__main__":
    sys.exit(main())
