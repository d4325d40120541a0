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
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from asrpool_worker.engine import functions, modeldir
from asrpool_worker.engine.onnx_backend import GRAPH_PROPERTY, GRAPH_VERSION
from asrpool_worker.engine.tensor_function import TensorFunction
from asrpool_worker.errors import AsrpoolWorkerError, ModelError

OPSET = 17
TOLERANCE = 2e-3
"""Largest difference of any output value between torch and the exported graph (seen: below 1e-4)."""


def export_directory(directory: Path) -> Path:
    """Write `directory`/model.onnx. Raises `ModelError` when the directory is at fault or the graph does not agree with torch."""
    model = modeldir.read(directory)
    if not model.weights_path.is_file():
        raise ModelError(f"{model.weights_path}: missing; copy it from the original model")
    _write(functions.build(model), model.onnx_path)
    return model.onnx_path


def _write(exported: TensorFunction, path: Path) -> None:
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


def _compare(exported: TensorFunction, path: Path) -> None:
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
