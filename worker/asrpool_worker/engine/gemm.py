"""Takes the one-step multiply-and-add apart again before weights are quantised.

onnxruntime's quantiser does so itself, but turns a weight around once for every node that reads it: a weight that two nodes
share, as in SeACo's decoder, which runs three times over, comes out the wrong way round. Here each weight is turned once.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

AS_LINEAR = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}


def split_gemms(graph: onnx.GraphProto) -> None:
    """Every Gemm that torch writes for a linear layer becomes a MatMul and an Add, in place."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    turned: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if not _is_linear(node, weights):
            nodes.append(node)
            continue
        rows, weight, bias = node.input
        if weight not in turned:
            turned[weight] = f"{weight}.turned"
            array = np.ascontiguousarray(numpy_helper.to_array(weights[weight]).T)
            graph.initializer.append(numpy_helper.from_array(array, turned[weight]))
        (out,) = node.output
        product = f"{out}.product"
        nodes.append(helper.make_node("MatMul", [rows, turned[weight]], [product], name=f"{node.name}.product"))
        nodes.append(helper.make_node("Add", [product, bias], [out], name=f"{node.name}.sum"))
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _is_linear(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type != "Gemm" or len(node.input) != len(("rows", "weight", "bias")) or node.input[1] not in weights:
        return False
    options = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
    options |= {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return options == AS_LINEAR
