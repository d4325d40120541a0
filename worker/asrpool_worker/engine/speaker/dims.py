"""The sizes of a CAM++ speaker model, from FunASR's configuration keys; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.speaker.windows import MEL_BINS
from asrpool_worker.errors import ModelError

GRAPH = "speaker"
"""What the exported graph is called in its metadata."""

BLOCKS = ((12, 3, 1), (24, 3, 2), (16, 3, 2))
"""Layers, kernel and dilation of each dense block: no configuration key changes them."""

HEAD_CHANNELS = 32
SEGMENT_FRAMES = 100
"""A layer's mask is made from the mean over all frames and the mean over each segment of this many."""


@dataclass(frozen=True)
class SpeakerDims:
    """Sizes of one CAM++. `bottleneck_factor` times `growth` channels stand between the two convolutions of a layer."""

    feature_size: int
    embedding_size: int
    growth: int
    bottleneck_factor: int
    first_channels: int


def graph_sizes(dims: SpeakerDims) -> Mapping[str, int]:
    """The last axes of the graph's inputs."""
    return {"frames": dims.feature_size}


def read_dims(model: ModelDir) -> SpeakerDims:
    """The dimensions in `model`'s configuration. Raises `ModelError` for what this engine does not compute."""
    where = f"{model.path}/config.yaml"
    if model.model_class != "CAMPPlus":
        raise ModelError(f"{where}: model {model.model_class} is not a CAMPPlus")
    conf = model.section("model_conf")
    try:
        dims = SpeakerDims(
            feature_size=int(conf.get("feat_dim", MEL_BINS)),
            embedding_size=int(conf.get("embedding_size", 192)),
            growth=int(conf.get("growth_rate", 32)),
            bottleneck_factor=int(conf.get("bn_size", 4)),
            first_channels=int(conf.get("init_channels", 128)),
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"{where}: model_conf is malformed ({error})") from error
    if dims.feature_size != MEL_BINS:
        raise ModelError(
            f"{where}: model_conf.feat_dim must be {MEL_BINS}, the bands that FunASR computes for speakers"
        )
    if min(dims.embedding_size, dims.growth, dims.bottleneck_factor, dims.first_channels) < 1:
        raise ModelError(f"{where}: model_conf has a value below 1")
    if dims.growth * dims.bottleneck_factor < 2:
        raise ModelError(f"{where}: model_conf.growth_rate times bn_size must be at least 2")
    for key, served in (("config_str", "batchnorm-relu"), ("output_level", "segment")):
        if conf.get(key, served) != served:
            raise ModelError(f"{where}: model_conf.{key} {conf[key]} is not served (can: {served})")
    return dims
