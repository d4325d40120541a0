"""`python -m bench.streams.weights DIR`: fill a model directory that has its config.yaml with random weights of FunASR's.

In a process of its own, since it needs FunASR's classes and gigabytes for a moment. What the weights compute costs what
trained ones cost; only these follow something, so that the servers do what they would do for speech:

* CIF: every frame weighs the same, so that each stride gives about `TOKENS_PER_SECOND` of text, and never a control token.
* VAD: one channel carries the mean of the log filter bank through all layers and decides on silence; the others are noise.
* Punctuation: a mark after some words, as random weights have it.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from tinyasr import funasr_classes

TOKENS_PER_SECOND = 4.0
FRAMES_PER_SECOND = 1000 / 60
SEED = 20
CONTROL_TOKENS = (0, 1, 2, -1)
"""<blank>, <s>, </s> and the last, <unk>."""

NEVER = -1e4
SILENCE_LOGIT, ENERGY_SLOPE = 12.0, 30.0
"""P(silence) is 0.998 where the mean filter-bank value is below the shift of the VAD's am.mvn; a step of 2 above it is speech."""


def main(arguments: list[str]) -> None:
    """Write model.pt into each directory."""
    torch.set_num_threads(1)
    for directory in map(Path, arguments):
        config = yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))
        torch.manual_seed(SEED)
        for name in ("funasr.models.paraformer.model", "funasr.models.ct_transformer.model"):
            _import_funasr(name)
        model = funasr_classes.build(config)
        shape(model, config["model"])
        torch.save(model.state_dict(), directory / "model.pt")


def _import_funasr(name: str) -> None:
    if "funasr" not in sys.modules:
        funasr_classes.build(TINY_VAD)  # puts FunASR's package in place without importing all of it
    importlib.import_module(name)


TINY_VAD: dict[str, Any] = {
    "model": "FsmnVADStreaming",
    "encoder": "FSMN",
    "encoder_conf": {
        "input_dim": 2,
        "input_affine_dim": 2,
        "fsmn_layers": 1,
        "linear_dim": 2,
        "proj_dim": 2,
        "lorder": 2,
        "rorder": 0,
        "lstride": 1,
        "rstride": 0,
        "output_affine_dim": 2,
        "output_dim": 2,
    },
}


def shape(model: nn.Module, model_class: str) -> None:
    """Make the random weights behave; see the module's docstring."""
    weights = dict(model.named_parameters())
    with torch.no_grad():
        if model_class == "FsmnVADStreaming":
            _follow_energy(weights)
        elif "predictor.cif_output.bias" in weights:
            share = TOKENS_PER_SECOND / FRAMES_PER_SECOND
            weights["predictor.cif_output.bias"].fill_(math.log(share / (1 - share)))
            weights["predictor.cif_output.weight"].mul_(0.01)
            for token in CONTROL_TOKENS:
                weights["decoder.output_layer.bias"][token] = NEVER


def _follow_energy(weights: Mapping[str, torch.Tensor]) -> None:
    """Channel 0 of every layer reads channel 0 of the one before it, and nothing else."""
    for name, weight in weights.items():
        if name.endswith("conv_left.weight"):
            weight[0] = 0.0  # no past: the block adds what it remembers to what it sees
        elif name.endswith(".weight"):
            weight[0] = 0.0
            weight[0, 0] = 1.0
        elif name.endswith(".bias"):
            weight[0] = 0.0
    first = weights["encoder.in_linear1.linear.weight"]
    first[0] = 1.0 / first.shape[1]
    last, bias = weights["encoder.out_linear2.linear.weight"], weights["encoder.out_linear2.linear.bias"]
    last[1:].mul_(0.01)
    bias.zero_()
    last[0, 0], bias[0] = -ENERGY_SLOPE, SILENCE_LOGIT


if __name__ == "__main__":
    main(sys.argv[1:])
