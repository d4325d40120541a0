"""The sizes of an FSMN-VAD and its end-pointing times, from FunASR's configuration keys; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.vad.endpointer import EndpointTimes
from asrpool_worker.errors import ModelError

GRAPH = "vad"
"""What the exported graph is called in its metadata."""

IGNORED_DECIBELS = -100.0
"""FunASR's default loudness limits: below anything 16-bit audio can hold, so they decide nothing."""


@dataclass(frozen=True)
class VadDims:
    """Sizes of one FSMN network; `past_frames` is what each block remembers between chunks."""

    feature_size: int
    input_affine: int
    blocks: int
    linear: int
    projection: int
    order: int
    stride: int
    output_affine: int
    outputs: int
    silence_outputs: tuple[int, ...]

    @property
    def past_frames(self) -> int:
        """Frames of the past that a block's convolution reads."""
        return (self.order - 1) * self.stride


def graph_sizes(dims: VadDims) -> Mapping[str, int]:
    """The last axes of the graph's inputs."""
    return {"frames": dims.feature_size, "past": dims.projection}


def read_vad(model: ModelDir) -> tuple[VadDims, EndpointTimes]:
    """Dimensions and end-pointing times of `model`. Raises `ModelError` for what this engine does not compute."""
    where = f"{model.path}/config.yaml"
    if model.model_class != "FsmnVADStreaming" or model.config.get("encoder") != "FSMN":
        raise ModelError(f"{where}: model {model.model_class} is not an FsmnVADStreaming with an FSMN encoder")
    encoder, post = model.section("encoder_conf"), model.section("model_conf")
    try:
        dims = VadDims(
            feature_size=model.frontend.feature_size,
            input_affine=int(encoder["input_affine_dim"]),
            blocks=int(encoder["fsmn_layers"]),
            linear=int(encoder["linear_dim"]),
            projection=int(encoder["proj_dim"]),
            order=int(encoder["lorder"]),
            stride=int(encoder["lstride"]),
            output_affine=int(encoder["output_affine_dim"]),
            outputs=int(encoder["output_dim"]),
            silence_outputs=tuple(int(number) for number in post.get("sil_pdf_ids", [0])),
        )
        times = EndpointTimes(
            frame_ms=int(post.get("frame_in_ms", 10)),
            window_ms=int(post.get("window_size_ms", 200)),
            silence_to_speech_ms=int(post.get("sil_to_speech_time_thres", 150)),
            speech_to_silence_ms=int(post.get("speech_to_sil_time_thres", 150)),
            max_end_silence_ms=int(post.get("max_end_silence_time", 800)),
            look_back_ms=int(post.get("lookback_time_start_point", 200)),
            look_ahead_ms=int(post.get("lookahead_time_end_point", 100)),
            max_segment_ms=int(post.get("max_single_segment_time", 60_000)),
            speech_margin=float(post.get("speech_noise_thres", 0.6)),
        )
        ratio = float(post.get("speech_2_noise_ratio", 1.0))
        right, limits = (
            int(encoder["rorder"]),
            (float(post.get("snr_thres", -100)), float(post.get("decibel_thres", -100))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: encoder_conf or model_conf is incomplete ({error!r})") from error
    if right:
        raise ModelError(f"{where}: encoder_conf.rorder must be 0: a network that looks ahead cannot stream")
    if max(limits) > IGNORED_DECIBELS or ratio != 1.0:
        raise ModelError(
            f"{where}: model_conf.snr_thres or decibel_thres above {IGNORED_DECIBELS}, or speech_2_noise_ratio other than 1, is not served"
        )
    if model.frontend.lfr_n * model.frontend.frame_shift_samples != times.frame_ms * 16:
        raise ModelError(f"{where}: model_conf.frame_in_ms does not match frontend_conf")
    return dims, times
