"""`python -m bench.streams.sherpa_export DIR TARGET [--int8]`: a streaming Paraformer in the ONNX form that sherpa-onnx reads.

FunASR's own export of the same weights (encoder with its CIF weights, decoder with its caches), by torch's older
exporter, which is the one that takes it; then the sizes and the statistics that sherpa-onnx looks for in the encoder's
metadata. Its graph has no key/value look-back: that is how FunASR exports it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from asrpool_worker.engine import modeldir
from tinyasr import funasr_classes

OPSET = 14


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams.sherpa_export", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--int8", action="store_true")
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    parsed.target.mkdir(parents=True, exist_ok=True)
    export(parsed.directory, parsed.target)
    if parsed.int8:
        quantise(parsed.target)


def export(directory: Path, target: Path) -> None:
    """Write encoder.onnx, decoder.onnx and tokens.txt."""
    model = modeldir.read(directory)
    config = model.config
    network = funasr_classes.build(config)
    network.load_state_dict(torch.load(model.weights_path, weights_only=True))
    network.eval()
    rebuild: Any = importlib.import_module("funasr.models.paraformer_streaming.export_meta").export_rebuild_model
    encoder, decoder = rebuild(
        network, type="onnx", encoder=config["encoder"], predictor=config["predictor"], decoder=config["decoder"]
    )
    for part, name in ((encoder, "encoder"), (decoder, "decoder")):
        _write(part, target / f"{name}.onnx")
    _describe(target / "encoder.onnx", model)
    lines = [f"{token} {number}" for number, token in enumerate(model.tokens)]
    (target / "tokens.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


def quantise(target: Path) -> None:
    """Dynamic int8 of both graphs, as sherpa-onnx's published models have it: matrix products only."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for name in ("encoder", "decoder"):
        quantize_dynamic(
            model_input=str(target / f"{name}.onnx"),
            model_output=str(target / f"{name}.int8.onnx"),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )


def _write(part: Any, path: Path) -> None:  # noqa: ANN401 - FunASR publishes no types
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part,
            part.export_dummy_inputs(),
            str(path),
            input_names=part.export_input_names(),
            output_names=part.export_output_names(),
            dynamic_axes=part.export_dynamic_axes(),
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,
        )


def _describe(path: Path, model: modeldir.ModelDir) -> None:
    graph = onnx.load(str(path))
    decoder = model.section("decoder_conf")
    described = {
        "model_type": "paraformer",
        "version": "1",
        "comment": "random weights, for timing",
        "vocab_size": len(model.tokens),
        "lfr_window_size": model.frontend.lfr_m,
        "lfr_window_shift": model.frontend.lfr_n,
        "encoder_output_size": model.section("encoder_conf")["output_size"],
        "decoder_num_blocks": decoder["num_blocks"],
        "decoder_kernel_size": decoder["kernel_size"],
        "neg_mean": ",".join(f"{value:.6f}" for value in model.cmvn[0]),
        "inv_stddev": ",".join(f"{value:.6f}" for value in model.cmvn[1]),
    }
    for key, value in described.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    onnx.save(graph, str(path))


if __name__ == "__main__":
    main()
