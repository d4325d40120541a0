"""The ``config.yaml`` of each tiny model, in FunASR's own keys.

The streaming and the offline model have the same sizes, so that the second can start from the
weights of the first stage and only the way they are fed differs.
"""

from __future__ import annotations

from typing import Any

MODEL_SIZE = 128
LFR_WIDTH, LFR_HOP = 7, 6
VAD_LFR_WIDTH = 5
KERNEL = 11
CIF_THRESHOLD, CIF_TAIL = 1.0, 0.45


def _frontend(width: int, hop: int) -> dict[str, Any]:
    return {
        "fs": 16000,
        "window": "hamming",
        "n_mels": 80,
        "frame_length": 25,
        "frame_shift": 10,
        "lfr_m": width,
        "lfr_n": hop,
        "dither": 0.0,
    }


def _paraformer(vocabulary: int) -> dict[str, Any]:
    """What both recognisers share."""
    return {
        "model_conf": {
            "ctc_weight": 0.0,
            "lsm_weight": 0.1,
            "length_normalized_loss": True,
            "predictor_weight": 1.0,
            "predictor_bias": 0,
            "sampling_ratio": 0.0,
        },
        "encoder_conf": {
            "output_size": MODEL_SIZE,
            "attention_heads": 2,
            "linear_units": 4 * MODEL_SIZE,
            "num_blocks": 4,
            "dropout_rate": 0.0,
            "positional_dropout_rate": 0.0,
            "attention_dropout_rate": 0.0,
            "normalize_before": True,
            "kernel_size": KERNEL,
            "sanm_shfit": 0,
            "selfattention_layer_type": "sanm",
        },
        "decoder": "ParaformerSANMDecoder",
        "decoder_conf": {
            "attention_heads": 2,
            "linear_units": 4 * MODEL_SIZE,
            "num_blocks": 2,
            "att_layer_num": 2,
            "dropout_rate": 0.0,
            "positional_dropout_rate": 0.0,
            "self_attention_dropout_rate": 0.0,
            "src_attention_dropout_rate": 0.0,
            "kernel_size": KERNEL,
        },
        "predictor": "CifPredictorV2",
        "predictor_conf": {
            "idim": MODEL_SIZE,
            "threshold": CIF_THRESHOLD,
            "l_order": 1,
            "r_order": 1,
            "tail_threshold": CIF_TAIL,
        },
        "input_size": 80 * LFR_WIDTH,
        "vocab_size": vocabulary,
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": False},
        "frontend_conf": _frontend(LFR_WIDTH, LFR_HOP),
    }


def streaming(vocabulary: int) -> dict[str, Any]:
    """Streaming Paraformer: chunks of 600 ms, with or without 300 ms of look-back."""
    config = _paraformer(vocabulary)
    config["model"] = "ParaformerStreaming"
    config["encoder"] = "SANMEncoderChunkOpt"
    config["encoder_conf"] |= {
        "input_layer": "pe_online",
        "chunk_size": [15, 20],
        "stride": [10, 10],
        "pad_left": [0, 5],
        "encoder_att_look_back_factor": [4, 4],
        "decoder_att_look_back_factor": [1, 1],
    }
    config["decoder_conf"]["sanm_shfit"] = (KERNEL - 1) // 2
    config["frontend"] = "WavFrontendOnline"
    return config


def offline(vocabulary: int) -> dict[str, Any]:
    """Paraformer over whole utterances, for the second pass."""
    config = _paraformer(vocabulary)
    config["model"] = "Paraformer"
    config["encoder"] = "SANMEncoder"
    config["encoder_conf"]["input_layer"] = "pe"
    config["decoder_conf"]["sanm_shfit"] = 0
    config["frontend"] = "WavFrontend"
    return config


def vad() -> dict[str, Any]:
    """FSMN voice activity detector with two outputs, silence first."""
    return {
        "model": "FsmnVADStreaming",
        # Not among FunASR's constructor keys, but read when it runs: without it a growing schedule
        # that begins at two seconds of silence takes the place of max_end_silence_time.
        "dynamic_silence": False,
        "model_conf": {
            "sample_rate": 16000,
            "detect_mode": 1,
            "snr_mode": 0,
            "max_end_silence_time": 600,
            "max_start_silence_time": 3000,
            "do_start_point_detection": True,
            "do_end_point_detection": True,
            "window_size_ms": 200,
            "sil_to_speech_time_thres": 150,
            "speech_to_sil_time_thres": 150,
            "speech_2_noise_ratio": 1.0,
            "do_extend": 1,
            "lookback_time_start_point": 200,
            "lookahead_time_end_point": 100,
            "max_single_segment_time": 60000,
            "snr_thres": -100.0,
            "noise_frame_num_used_for_snr": 100,
            "decibel_thres": -100.0,
            "speech_noise_thres": 0.6,
            "fe_prior_thres": 0.0001,
            "silence_pdf_num": 1,
            "sil_pdf_ids": [0],
            "speech_noise_thresh_low": -0.1,
            "speech_noise_thresh_high": 0.3,
            "output_frame_probs": False,
            "frame_in_ms": 10,
            "frame_length_ms": 25,
        },
        "encoder": "FSMN",
        "encoder_conf": {
            "input_dim": 80 * VAD_LFR_WIDTH,
            "input_affine_dim": 64,
            "fsmn_layers": 3,
            "linear_dim": 96,
            "proj_dim": 48,
            "lorder": 20,
            "rorder": 0,
            "lstride": 1,
            "rstride": 0,
            "output_affine_dim": 64,
            "output_dim": 2,
        },
        "frontend": "WavFrontendOnline",
        "frontend_conf": _frontend(VAD_LFR_WIDTH, 1),
    }


def speaker() -> dict[str, Any]:
    """CAM++ speaker embeddings, as narrow as FunASR's class can be made: its depth and its first layers are fixed."""
    return {
        "model": "CAMPPlus",
        "model_conf": {
            "feat_dim": 80,
            "embedding_size": 128,
            "growth_rate": 5,
            "bn_size": 1,
            "init_channels": 60,
            "config_str": "batchnorm-relu",
            "memory_efficient": False,
            "output_level": "segment",
        },
    }
