"""The sizes of a Paraformer, from FunASR's configuration keys; needed by both engines, so no torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.errors import ModelError

STREAMING_GRAPH, OFFLINE_GRAPH = "online", "offline"
"""What the exported graphs are called in their metadata."""

ONLINE_CLASSES = frozenset({"ParaformerStreaming"})
OFFLINE_CLASSES = frozenset({"Paraformer"})
EXTENDED_CLASSES = frozenset({"BiCifParaformer", "SeacoParaformer"})
"""A Paraformer with more beside it, which the family `seaco` runs."""

PART_CLASSES = {
    "encoder": frozenset({"SANMEncoder", "SANMEncoderChunkOpt"}),
    "decoder": frozenset({"ParaformerSANMDecoder"}),
    "predictor": frozenset({"CifPredictorV2", "CifPredictorV3"}),
}
"""What this engine computes; V3 is V2 with the time-stamp head beside it."""


@dataclass(frozen=True)
class ParaformerDims:
    """Sizes and constants of one Paraformer; kernel paddings as (left, right)."""

    feature_size: int
    size: int
    encoder_heads: int
    encoder_units: int
    encoder_blocks: int
    encoder_kernel: int
    encoder_shift: int
    decoder_heads: int
    decoder_units: int
    decoder_blocks: int
    decoder_kernel: int
    decoder_shift: int
    vocabulary: int
    cif_left: int
    cif_right: int
    cif_threshold: float
    cif_smooth: float
    cif_noise: float
    cif_tail: float

    @property
    def feature_scale(self) -> float:
        """FunASR scales features by the root of the model's width before adding positions."""
        return math.sqrt(self.size)

    @property
    def head_size(self) -> int:
        """Width of one attention head of the encoder."""
        return self.size // self.encoder_heads

    @property
    def fsmn_frames(self) -> int:
        """Past tokens that a causal decoder block remembers."""
        return self.decoder_kernel - 1


def cache_names(dims: ParaformerDims) -> tuple[str, ...]:
    """What the streaming graph calls the cached keys and values of each encoder block, in order."""
    return tuple(f"{part}_{block}" for block in range(dims.encoder_blocks) for part in ("keys", "values"))


def streaming_graph_sizes(dims: ParaformerDims) -> Mapping[str, int]:
    """The last axes of the streaming graph's inputs."""
    caches = dict.fromkeys(cache_names(dims), dims.head_size)
    return {"frames": dims.feature_size, "tokens_past": dims.size, **caches}


def offline_graph_sizes(dims: ParaformerDims) -> Mapping[str, int]:
    """The last axes of the offline graph's inputs."""
    return {"frames": dims.feature_size}


def read_dims(model: ModelDir, streaming: bool) -> ParaformerDims:
    """The dimensions in `model`'s configuration. Raises `ModelError` for what this engine does not compute."""
    allowed = ONLINE_CLASSES if streaming else OFFLINE_CLASSES | EXTENDED_CLASSES
    where = f"{model.path}/config.yaml"
    if model.model_class not in allowed:
        role = "online" if streaming else "offline"
        raise ModelError(
            f"{where}: model {model.model_class} cannot serve as {role} model (can: {', '.join(sorted(allowed))})"
        )
    for part, known in PART_CLASSES.items():
        if model.config.get(part) not in known:
            raise ModelError(
                f"{where}: {part} {model.config.get(part)} is not served (can: {', '.join(sorted(known))})"
            )
    encoder, decoder, predictor = (model.section(f"{part}_conf") for part in ("encoder", "decoder", "predictor"))
    try:
        dims = ParaformerDims(
            feature_size=model.frontend.feature_size,
            size=int(encoder["output_size"]),
            encoder_heads=int(encoder.get("attention_heads", 4)),
            encoder_units=int(encoder.get("linear_units", 2048)),
            encoder_blocks=int(encoder["num_blocks"]),
            encoder_kernel=int(encoder.get("kernel_size", 11)),
            encoder_shift=int(encoder.get("sanm_shfit") or 0),
            decoder_heads=int(decoder.get("attention_heads", 4)),
            decoder_units=int(decoder.get("linear_units", 2048)),
            decoder_blocks=int(decoder["num_blocks"]),
            decoder_kernel=int(decoder.get("kernel_size", 21)),
            decoder_shift=_decoder_shift(decoder),
            vocabulary=len(model.tokens),
            cif_left=int(predictor["l_order"]),
            cif_right=int(predictor["r_order"]),
            cif_threshold=float(predictor.get("threshold", 1.0)),
            cif_smooth=float(predictor.get("smooth_factor", 1.0)),
            cif_noise=float(predictor.get("noise_threshold", 0.0)),
            cif_tail=float(predictor.get("tail_threshold", 0.0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: encoder_conf, decoder_conf or predictor_conf is incomplete ({error!r})") from error
    if int(decoder.get("att_layer_num", 6)) != dims.decoder_blocks:
        raise ModelError(f"{where}: decoder_conf.att_layer_num must equal num_blocks")
    if streaming and (dims.decoder_kernel - 1) // 2 + dims.decoder_shift != dims.decoder_kernel - 1:
        raise ModelError(
            f"{where}: decoder_conf.sanm_shfit must be {(dims.decoder_kernel - 1) // 2} (a causal decoder) to stream"
        )
    if dims.cif_smooth > dims.cif_threshold:
        raise ModelError(f"{where}: predictor_conf.smooth_factor above threshold is not served")
    return dims


def _decoder_shift(decoder: dict[str, object]) -> int:
    shift = decoder.get("sanm_shfit", 0)
    return (int(str(decoder.get("kernel_size", 21))) - 1) // 2 if shift is None else int(str(shift))
