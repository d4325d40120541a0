"""A graph computes the same once its linear layers are taken apart, also where layers share a weight."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from asrpool_worker.engine.gemm import split_gemms


class Sharing(nn.Module):
    """A square and an oblong layer, each used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.square = nn.Linear(6, 6)
        self.wide = nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        once = self.square(x)
        return self.wide(self.square(once)), self.wide(x)


def run(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    outputs: list[np.ndarray] = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    return outputs


def test_shared_weights_are_turned_once(tmp_path: Path) -> None:
    """As torch does before, onnxruntime after and after 8-bit quantisation, but for what eight bits lose."""
    from onnxruntime.quantization import quantize_dynamic

    torch.manual_seed(0)
    module, x = Sharing().eval(), torch.randn(5, 6)
    path = tmp_path / "layers.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch asks for its newer exporter, which these graphs do not use
        torch.onnx.export(module, (x,), str(path), input_names=["x"], dynamo=False, opset_version=17)
    model = onnx.load(str(path))
    assert {node.op_type for node in model.graph.node} == {"Gemm"}
    split_gemms(model.graph)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node].count("MatMul") == 4
    assert len(model.graph.initializer) == 4, "two weights and two biases, none twice"
    with torch.no_grad():
        expected = [output.numpy() for output in module(x)]
    for ours, theirs in zip(run(model, x.numpy()), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    quantize_dynamic(model, tmp_path / "int8.onnx", per_channel=True)
    for ours, theirs in zip(run(onnx.load(str(tmp_path / "int8.onnx")), x.numpy()), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.1)
