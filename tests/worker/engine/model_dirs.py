"""Model directories with random weights, in FunASR's layout: any size, and small enough to run in every test.

The same configuration keys as the released models, so FunASR's own classes load them too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.paraformer.dims import read_dims
from asrpool_worker.engine.paraformer.layers import Paraformer
from asrpool_worker.engine.vad.dims import read_vad
from asrpool_worker.engine.vad.network import VadStep

TOKENS = ["<blank>", "<s>", "</s>", *"零一二三四五六七八九十百千万开关灯门窗", "<unk>"]
MEL_BINS = 80


def paraformer_config(streaming: bool, size: int = 32, blocks: int = 3, **overrides: Any) -> dict[str, Any]:
    """FunASR's configuration of a Paraformer of that width."""
    config: dict[str, Any] = {
        "model": "ParaformerStreaming" if streaming else "Paraformer",
        "model_conf": {"ctc_weight": 0.0, "predictor_bias": 0, "sampling_ratio": 0.0},
        "encoder": "SANMEncoderChunkOpt" if streaming else "SANMEncoder",
        "encoder_conf": {
            "output_size": size,
            "attention_heads": 2,
            "linear_units": 2 * size,
            "num_blocks": blocks,
            "kernel_size": 11,
            "sanm_shfit": 0,
            "selfattention_layer_type": "sanm",
            "normalize_before": True,
            "input_layer": "pe_online" if streaming else "pe",
        },
        "decoder": "ParaformerSANMDecoder",
        "decoder_conf": {
            "attention_heads": 2,
            "linear_units": 2 * size,
            "num_blocks": 2,
            "att_layer_num": 2,
            "kernel_size": 11,
            "sanm_shfit": 5 if streaming else 0,
        },
        "predictor": "CifPredictorV2",
        "predictor_conf": {"idim": size, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45},
        "input_size": MEL_BINS * 7,
        "vocab_size": len(TOKENS),
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": False},
        "frontend": "WavFrontendOnline" if streaming else "WavFrontend",
        "frontend_conf": _frontend(7, 6),
    }
    if streaming:
        config["encoder_conf"] |= {
            "chunk_size": [15],
            "stride": [10],
            "pad_left": [0],
            "encoder_att_look_back_factor": [4],
            "decoder_att_look_back_factor": [1],
        }
    return config | overrides


def vad_config(**post: Any) -> dict[str, Any]:
    """FunASR's configuration of a small FSMN-VAD; `post` are its end-pointing options."""
    return {
        "model": "FsmnVADStreaming",
        "model_conf": {"max_end_silence_time": 800, "speech_noise_thres": 0.6, "sil_pdf_ids": [0]} | post,
        "encoder": "FSMN",
        "encoder_conf": {
            "input_dim": MEL_BINS * 5,
            "input_affine_dim": 24,
            "fsmn_layers": 2,
            "linear_dim": 32,
            "proj_dim": 16,
            "lorder": 20,
            "rorder": 0,
            "lstride": 1,
            "rstride": 0,
            "output_affine_dim": 24,
            "output_dim": 4,
        },
        "frontend": "WavFrontendOnline",
        "frontend_conf": _frontend(5, 1),
    }


def write(directory: Path, config: dict[str, Any], seed: int = 0, token_bias: float = -1.0) -> Path:
    """Write `config` with random weights, tokens and statistics into `directory`.

    A recogniser's `token_bias` says how often it speaks: -1 is about every third frame, as in Mandarin; below, more rarely.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    if "tokenizer" in config:
        (directory / "tokens.json").write_text(json.dumps(TOKENS), encoding="utf-8")
    _write_cmvn(directory / "am.mvn", MEL_BINS * config["frontend_conf"]["lfr_m"], seed)
    torch.save(_weights(directory, config, seed, token_bias), directory / "model.pt")
    return directory


def _weights(directory: Path, config: dict[str, Any], seed: int, token_bias: float) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    model = modeldir.read(directory)
    module: nn.Module
    if config["model"] == "FsmnVADStreaming":
        module = VadStep(read_vad(model)[0])
    else:
        module = Paraformer(read_dims(model, streaming=config["model"] == "ParaformerStreaming"))
        module.predictor.cif_output.bias.data.fill_(token_bias)
        module.predictor.cif_output.weight.data.mul_(6.0)
    return module.state_dict()


def _frontend(lfr_m: int, lfr_n: int) -> dict[str, Any]:
    return {
        "fs": 16_000,
        "window": "hamming",
        "n_mels": MEL_BINS,
        "frame_length": 25,
        "frame_shift": 10,
        "lfr_m": lfr_m,
        "lfr_n": lfr_n,
        "dither": 0.0,
    }


def _write_cmvn(path: Path, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = {"<AddShift>": rng.normal(-10.0, 0.5, size), "<Rescale>": rng.uniform(0.2, 0.4, size)}
    lines = ["<Nnet>", f"<Splice> {size} {size}", "[ 0 ]"]
    for name, values in rows.items():
        lines += [f"{name} {size} {size}", f"<LearnRateCoef> 0 [ {' '.join(f'{value:.6f}' for value in values)} ]"]
    path.write_text("\n".join([*lines, "</Nnet>", ""]), encoding="utf-8")
