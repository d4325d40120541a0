"""The configurations of the bench's models by FunASR's keys: sizes of its released models and templates, and small ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

MEL_BINS = 80
Size = Literal["real", "small"]


@dataclass(frozen=True)
class Shape:
    """The sizes that `real` and `small` differ in."""

    width: int
    heads: int
    units: int
    encoder_blocks: int
    decoder_blocks: int
    tokens: int
    punc_width: int
    punc_heads: int
    punc_units: int
    punc_tokens: int


SHAPES: dict[Size, Shape] = {
    "real": Shape(512, 4, 2048, 50, 16, 8404, 256, 8, 1024, 272_727),
    "small": Shape(64, 2, 128, 3, 2, 300, 32, 2, 64, 400),
}


def paraformer_config(shape: Shape, *, streaming: bool) -> dict[str, Any]:
    """Paraformer, streaming or not, by FunASR's keys."""
    encoder: dict[str, Any] = {
        "output_size": shape.width,
        "attention_heads": shape.heads,
        "linear_units": shape.units,
        "num_blocks": shape.encoder_blocks,
        "kernel_size": 11,
        "sanm_shfit": 0,
        "selfattention_layer_type": "sanm",
        "normalize_before": True,
        "input_layer": "pe_online" if streaming else "pe",
    }
    if streaming:
        encoder |= {
            "chunk_size": [12, 15],
            "stride": [8, 10],
            "pad_left": [0, 0],
            "encoder_att_look_back_factor": [4, 4],
            "decoder_att_look_back_factor": [1, 1],
        }
    return {
        "model": "ParaformerStreaming" if streaming else "Paraformer",
        "model_conf": {"ctc_weight": 0.0, "predictor_bias": 1, "sampling_ratio": 0.75},
        "encoder": "SANMEncoderChunkOpt" if streaming else "SANMEncoder",
        "encoder_conf": encoder,
        "decoder": "ParaformerSANMDecoder",
        "decoder_conf": {
            "attention_heads": shape.heads,
            "linear_units": shape.units,
            "num_blocks": shape.decoder_blocks,
            "att_layer_num": shape.decoder_blocks,
            "kernel_size": 11,
            "sanm_shfit": 5 if streaming else 0,
        },
        "predictor": "CifPredictorV2",
        "predictor_conf": {"idim": shape.width, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45},
        "input_size": MEL_BINS * 7,
        "vocab_size": shape.tokens,
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
        "frontend": "WavFrontendOnline" if streaming else "WavFrontend",
        "frontend_conf": _frontend(7, 6),
    }


def vad_config() -> dict[str, Any]:
    """FSMN-VAD as released; it is small enough to be the same in every size."""
    return {
        "model": "FsmnVADStreaming",
        "model_conf": {
            "sample_rate": 16_000,
            "detect_mode": 1,
            "max_end_silence_time": 800,
            "max_start_silence_time": 3000,
            "window_size_ms": 200,
            "sil_to_speech_time_thres": 150,
            "speech_to_sil_time_thres": 150,
            "max_single_segment_time": 60_000,
            "snr_thres": -100.0,
            "decibel_thres": -100.0,
            "speech_noise_thres": 0.6,
            "sil_pdf_ids": [0],
            "frame_in_ms": 10,
            "frame_length_ms": 25,
        },
        "encoder": "FSMN",
        "encoder_conf": {
            "input_dim": MEL_BINS * 5,
            "input_affine_dim": 140,
            "fsmn_layers": 4,
            "linear_dim": 250,
            "proj_dim": 128,
            "lorder": 20,
            "rorder": 0,
            "lstride": 1,
            "rstride": 0,
            "output_affine_dim": 140,
            "output_dim": 248,
        },
        "frontend": "WavFrontendOnline",
        "frontend_conf": _frontend(5, 1),
    }


def punc_config(shape: Shape) -> dict[str, Any]:
    """CT-Transformer for text that comes in whole."""
    return {
        "model": "CTTransformer",
        "model_conf": {
            "ignore_id": 0,
            "embed_unit": shape.punc_width,
            "att_unit": shape.punc_width,
            "punc_list": ["<unk>", "_", "，", "。", "？", "、"],
            "punc_weight": [1.0] * 6,
            "sentence_end_id": 3,
        },
        "encoder": "SANMEncoder",
        "encoder_conf": {
            "input_size": shape.punc_width,
            "output_size": shape.punc_width,
            "attention_heads": shape.punc_heads,
            "linear_units": shape.punc_units,
            "num_blocks": 4,
            "kernel_size": 11,
            "sanm_shfit": 0,
            "selfattention_layer_type": "sanm",
            "normalize_before": True,
            "input_layer": "pe",
        },
        "vocab_size": shape.punc_tokens,
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>"},
    }


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
