"""The sizes of a SenseVoiceSmall and what it can be asked, from FunASR's configuration keys; no torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.errors import ModelError

GRAPH = "sensevoice"
"""What the exported graph is called in its metadata."""

LANGUAGE_QUERIES = {"auto": 0, "zh": 3, "en": 4, "yue": 7, "ja": 11, "ko": 12, "nospeech": 13}
EVENT_QUERY, EMOTION_QUERY = 1, 2
STYLE_QUERIES = {True: 14, False: 15}
"""Rows of the query embedding, as the released weights have them; a style is with or without ITN and punctuation."""
QUERY_KINDS = 16

QUERIES = 4
"""Places before the first frame: language, event, emotion, style. What the model says there is not speech but what it was asked."""


@dataclass(frozen=True)
class SenseVoiceDims:
    """Sizes of one SenseVoiceSmall. `extra_blocks` follow the encoder's own norm (FunASR's tp_blocks)."""

    feature_size: int
    size: int
    encoder_heads: int
    encoder_units: int
    encoder_blocks: int
    extra_blocks: int
    encoder_kernel: int
    encoder_shift: int
    blank: int

    @property
    def feature_scale(self) -> float:
        """FunASR scales features and queries by the root of the model's width before adding positions."""
        return math.sqrt(self.size)


def graph_sizes(dims: SenseVoiceDims) -> Mapping[str, int]:
    """The last axes of the graph's inputs."""
    return {"frames": dims.feature_size}


def read_dims(model: ModelDir) -> SenseVoiceDims:
    """The dimensions in `model`'s configuration. Raises `ModelError` for what this engine does not compute."""
    where = f"{model.path}/config.yaml"
    if model.model_class != "SenseVoiceSmall":
        raise ModelError(f"{where}: model {model.model_class} is not a SenseVoiceSmall")
    if model.config.get("encoder") != "SenseVoiceEncoderSmall":
        raise ModelError(f"{where}: encoder {model.config.get('encoder')} is not served (can: SenseVoiceEncoderSmall)")
    if model.config.get("normalize") is not None:
        raise ModelError(
            f"{where}: normalize {model.config['normalize']} is not served; features are normalised by am.mvn"
        )
    if not model.section("ctc_conf").get("extra_linear", True):
        raise ModelError(f"{where}: ctc_conf.extra_linear must be true")
    encoder = model.section("encoder_conf")
    try:
        dims = SenseVoiceDims(
            feature_size=model.frontend.feature_size,
            size=int(encoder.get("output_size", 256)),
            encoder_heads=int(encoder.get("attention_heads", 4)),
            encoder_units=int(encoder.get("linear_units", 2048)),
            encoder_blocks=int(encoder.get("num_blocks", 6)),
            extra_blocks=int(encoder.get("tp_blocks", 0)),
            encoder_kernel=int(encoder.get("kernel_size", 11)),
            encoder_shift=int(encoder.get("sanm_shfit") or 0),
            blank=int(model.section("model_conf").get("blank_id", 0)),
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"{where}: encoder_conf or model_conf is malformed ({error})") from error
    if min(dims.size, dims.encoder_heads, dims.encoder_units, dims.encoder_blocks, dims.encoder_kernel) < 1:
        raise ModelError(f"{where}: encoder_conf has a value below 1")
    if dims.size % dims.encoder_heads:
        raise ModelError(f"{where}: encoder_conf.output_size must be a multiple of attention_heads")
    if dims.encoder_shift > dims.encoder_kernel // 2:
        raise ModelError(f"{where}: encoder_conf.sanm_shfit must be at most half of kernel_size")
    return dims
