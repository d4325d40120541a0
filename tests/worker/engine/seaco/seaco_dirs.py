"""BiCif- and SeACo-Paraformer directories with random weights, in FunASR's layout and with the released models' keys."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.features import FilterBank, stack, stacked_count
from asrpool_worker.engine.messages import Samples
from asrpool_worker.engine.modeldir import FloatArray, ModelDir
from asrpool_worker.engine.paraformer.dims import ParaformerDims
from asrpool_worker.engine.paraformer.online_model import place
from asrpool_worker.engine.seaco.dims import read_bicif, read_seaco
from asrpool_worker.engine.seaco.network import BiCifPass, SeacoPass
from tests.worker.engine import funasr_reference, model_dirs
from tests.worker.engine.conftest import babble

NO_BIAS = 21
"""A token that stands for nothing said: the random recogniser does not name it."""

UNKNOWN = len(model_dirs.TOKENS) - 1


def bicif_config(**overrides: Any) -> dict[str, Any]:
    """FunASR's configuration of a Paraformer with a time-stamp head, with the options of the released one."""
    config = model_dirs.paraformer_config(streaming=False, model="BiCifParaformer", predictor="CifPredictorV3")
    config["predictor_conf"] |= {
        "smooth_factor2": 0.25,
        "noise_threshold2": 0.01,
        "upsample_times": 3,
        "use_cif1_cnn": False,
        "upsample_type": "cnn_blstm",
    }
    return config | overrides


def seaco_config(**overrides: Any) -> dict[str, Any]:
    """The same of one with hotwords."""
    config = bicif_config(model="SeacoParaformer")
    config["model_conf"] |= {
        "inner_dim": config["encoder_conf"]["output_size"],
        "bias_encoder_type": "lstm",
        "bias_encoder_bid": False,
        "NO_BIAS": NO_BIAS,
    }
    config["seaco_decoder"] = "ParaformerSANMDecoder"
    config["seaco_decoder_conf"] = {
        "attention_heads": 4,
        "linear_units": 48,
        "num_blocks": 4,
        "kernel_size": 21,
        "sanm_shfit": 0,
        "att_layer_num": 6,
        "use_output_layer": False,
        "wo_input_layer": True,
    }
    return config | overrides


def write(directory: Path, config: dict[str, Any], seed: int = 0, spelled: bool = True) -> Path:
    """Write `config` with random weights; `spelled`: with a seg_dict that spells every character and one English word."""
    model_dirs.write(directory, model_dirs.paraformer_config(streaming=False), seed)
    (directory / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    if spelled:
        lines = [f"{token} {token}" for token in model_dirs.TOKENS[3:UNKNOWN]]
        (directory / "seg_dict").write_text("\n".join([*lines, "wifi 灯 开", ""]), encoding="utf-8")
    torch.manual_seed(seed)
    model = modeldir.read(directory)
    module = SeacoPass(read_seaco(model)) if config["model"] == "SeacoParaformer" else BiCifPass(read_bicif(model))
    with torch.no_grad():
        _enliven(module, read_bicif(model).paraformer, model)
    torch.save(module.state_dict(), directory / "model.pt")
    return directory


def utterance(model: ModelDir, samples: Samples) -> FloatArray:
    """The frames of a whole utterance as the model reads them."""
    frames = FilterBank(model.frontend).push(samples)
    return stack(model.frontend, model.cmvn, frames, 0, stacked_count(model.frontend, len(frames), final=True))


def _enliven(module: BiCifPass, dims: ParaformerDims, model: ModelDir) -> None:
    """Let what differs decide. As initialised, every frame and every hotword looks alike, and one token is said throughout."""
    for name, parameter in module.named_parameters():
        if parameter.dim() > 1 and "norm" not in name:
            parameter.mul_(2.0)
    frames = torch.from_numpy(place(utterance(model, babble(20.0, seed=99)), 0, dims))[None]
    frame_mask = torch.ones(frames.shape[:2])
    encoded, _ = module.encoder(frames, frame_mask, None)
    head = module.predictor
    _standardise(head.cif_output, _last_input(head.cif_output, lambda: head(encoded)), -1.0, 1.5)
    _standardise(head.cif_output2, _last_input(head.cif_output2, lambda: head.fine(encoded, frame_mask)), 0.0, 3.0)
    tail_mask = torch.nn.functional.pad(torch.zeros(1, frames.shape[1]), (0, 1), value=1.0)
    embeds, token_mask, hidden, *_ = module.recognise(frames, frame_mask, tail_mask)
    _standardise(module.decoder.output_layer, hidden, 0.0, 1.0)
    # FunASR's time stamps go out of step with the tokens where one of them is unknown, so none is.
    module.decoder.output_layer.bias[[0, 1, 2, NO_BIAS, UNKNOWN]] = -100.0
    if isinstance(module, SeacoPass):
        words = module.encode_words(torch.arange(3, UNKNOWN)[:, None], torch.zeros(UNKNOWN - 3, dtype=torch.long))[None]
        bias = torch.zeros(1, 1, 1, words.shape[1])
        attended = sum(module.seaco_decoder(x, token_mask, words, bias) for x in (embeds, hidden))
        _standardise(module.hotword_output_layer, attended, 0.0, 1.0)
        module.hotword_output_layer.bias[[0, 1, 2, UNKNOWN]] = -100.0
        module.hotword_output_layer.bias[NO_BIAS] += 1.5


def _last_input(layer: torch.nn.Module, run: Callable[[], object]) -> torch.Tensor:
    """What `layer` reads when `run` runs."""
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    run()
    handle.remove()
    return seen[-1]


def _standardise(layer: torch.nn.Linear, inputs: torch.Tensor, mean: float, spread: float) -> None:
    """Give each of the layer's outputs that mean and spread over `inputs`."""
    outputs = layer(inputs).flatten(0, -2)
    scale = spread / outputs.std(dim=0)
    layer.bias.copy_((layer.bias - outputs.mean(dim=0)) * scale + mean)
    layer.weight.mul_(scale[:, None])


def funasr(directory: Path) -> Any:
    """FunASR's own model of such a directory."""
    for name in ("funasr.models.bicif_paraformer.model", "funasr.models.seaco_paraformer.model"):
        importlib.import_module(name)
    return funasr_reference.auto_model(directory)
