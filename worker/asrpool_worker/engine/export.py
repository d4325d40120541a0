"""`asrpool-worker export [--int8] DIR`: write model.onnx beside model.pt, so that the onnx engine needs no torch.

The graph is the very function that the torch engine runs, traced with every length left open. What is written is marked
in its metadata, loaded again with onnxruntime and compared with torch on random rows before it replaces an older file.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from asrpool_worker.engine import functions, modeldir
from asrpool_worker.engine.gemm import split_gemms
from asrpool_worker.engine.onnx_backend import GRAPH_PROPERTY, GRAPH_VERSION
from asrpool_worker.engine.tensor_function import TensorFunction
from asrpool_worker.errors import ModelError

OPSET = 17
TOLERANCE = 2e-3
"""Largest difference of any output value between torch and the exported graph (seen: below 1e-4)."""


def export_directory(directory: Path, int8: bool = False) -> list[Path]:
    """Write `directory`/model.onnx, and with `int8` also model.int8.onnx, where the model is worth one.

    Raises `ModelError` when the directory is at fault or the graph does not agree with torch.
    """
    model = modeldir.read(directory)
    if not model.weights_path.is_file():
        raise ModelError(f"{model.weights_path}: missing; copy it from the original model")
    _write(functions.build(model), model.onnx_path)
    if not int8 or model.model_class not in functions.QUANTISED_CLASSES:
        return [model.onnx_path]
    _quantise(model.onnx_path, model.int8_path)
    return [model.onnx_path, model.int8_path]


def _quantise(path: Path, int8_path: Path) -> None:
    """Weights in 8 bits with a scale for each output channel; activations are scaled anew in every step, so nothing is calibrated."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as scratch:
        draft = Path(scratch) / int8_path.name
        model = onnx.load(str(path))
        split_gemms(model.graph)
        quantize_dynamic(
            model,
            draft,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul"],
            extra_options={"MatMulConstBOnly": True},
        )
        draft.replace(int8_path)


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
