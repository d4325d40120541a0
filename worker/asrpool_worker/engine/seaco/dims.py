"""The sizes that BiCif- and SeACo-Paraformer add to a Paraformer, from FunASR's configuration keys; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.paraformer.dims import ParaformerDims, offline_graph_sizes, read_dims
from asrpool_worker.errors import ModelError

TIMESTAMP_GRAPH, HOTWORD_GRAPH = "bicif", "seaco"
"""What the exported graphs are called in their metadata."""

HOTWORD_CLASS = "SeacoParaformer"
UPSAMPLE_TIMES = 3
STACKED_FRAMES = 6
"""What FunASR's rule for time stamps is written for: a third of a stacked frame of 60 ms."""

FILTER_LAYER = 5
"""The bias decoder's layer whose attention chooses among many hotwords."""

FILTERED_HOTWORDS = 50
"""How many of many hotwords are kept for a row, as in FunASR."""


@dataclass(frozen=True)
class TimestampDims:
    """The head that says on a finer grid when tokens begin: `recurrent` has an LSTM in both directions on the upsampled
    frames, `shares_convolution` reads what the weights' own convolution gives instead of the encoder's output.
    """

    recurrent: bool
    shares_convolution: bool
    smooth: float
    noise: float


@dataclass(frozen=True)
class BiCifDims:
    """A Paraformer with that head."""

    paraformer: ParaformerDims
    timestamps: TimestampDims


@dataclass(frozen=True)
class SeacoDims(BiCifDims):
    """The same with a bias encoder; `bias` holds the sizes of the decoder that attends to hotwords.

    `no_bias` is the token by which that decoder says that no hotword is spoken.
    """

    bias: ParaformerDims
    no_bias: int


def graph_sizes(dims: BiCifDims) -> Mapping[str, int]:
    """The last axes of the graphs' inputs."""
    hotwords = {"known_words": dims.paraformer.size} if isinstance(dims, SeacoDims) else {}
    return {**offline_graph_sizes(dims.paraformer), **hotwords}


def read_bicif(model: ModelDir) -> BiCifDims:
    """The dimensions of a Paraformer with a time-stamp head. Raises `ModelError` for what this engine does not compute."""
    where = f"{model.path}/config.yaml"
    paraformer = read_dims(model, streaming=False)
    if model.config.get("predictor") != "CifPredictorV3":
        raise ModelError(f"{where}: predictor must be CifPredictorV3 in a {model.model_class}")
    predictor = model.section("predictor_conf")
    try:
        times, kind = int(predictor.get("upsample_times", 5)), str(predictor.get("upsample_type", "cnn"))
        timestamps = TimestampDims(
            recurrent=kind == "cnn_blstm",
            shares_convolution=bool(predictor.get("use_cif1_cnn", True)),
            smooth=float(predictor.get("smooth_factor2", 1.0)),
            noise=float(predictor.get("noise_threshold2", 0.0)),
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"{where}: predictor_conf is malformed ({error})") from error
    if kind not in ("cnn", "cnn_blstm"):
        raise ModelError(f"{where}: predictor_conf.upsample_type {kind} is not served (can: cnn, cnn_blstm)")
    if times != UPSAMPLE_TIMES or model.frontend.lfr_n != STACKED_FRAMES:
        raise ModelError(
            f"{where}: time stamps need predictor_conf.upsample_times {UPSAMPLE_TIMES} (is {times})"
            f" and frontend_conf.lfr_n {STACKED_FRAMES} (is {model.frontend.lfr_n})"
        )
    if paraformer.cif_threshold != 1.0:
        raise ModelError(f"{where}: predictor_conf.threshold must be 1 with CifPredictorV3")
    return BiCifDims(paraformer, timestamps)


def read_seaco(model: ModelDir) -> SeacoDims:
    """The dimensions of a SeACo-Paraformer. Raises `ModelError` for what this engine does not compute."""
    where = f"{model.path}/config.yaml"
    if model.model_class != HOTWORD_CLASS:
        raise ModelError(
            f"{where}: model {model.model_class} has no bias encoder for hotwords (needed: {HOTWORD_CLASS})"
        )
    base = read_bicif(model)
    # FunASR lets a key stand at the top as well as under model_conf, and the top one wins.
    options = {**model.section("model_conf"), **model.config}
    _check_bias_encoder(where, options, base.paraformer.size)
    decoder = model.section("seaco_decoder_conf")
    try:
        no_bias = int(options.get("NO_BIAS", 8377))
        bias = _bias_decoder(decoder, base.paraformer)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{where}: seaco_decoder_conf or NO_BIAS is malformed ({error})") from error
    if decoder.get("use_output_layer", True):
        raise ModelError(f"{where}: seaco_decoder_conf.use_output_layer must be false")
    if int(decoder.get("num_blocks", 6)) > bias.decoder_blocks or bias.decoder_blocks <= FILTER_LAYER:
        raise ModelError(
            f"{where}: seaco_decoder_conf.att_layer_num must be at least {FILTER_LAYER + 1} and not below num_blocks"
        )
    if not 0 <= no_bias < bias.vocabulary:
        raise ModelError(f"{where}: NO_BIAS {no_bias} is none of the {bias.vocabulary} tokens")
    return SeacoDims(base.paraformer, base.timestamps, bias, no_bias)


def _check_bias_encoder(where: str, options: Mapping[str, Any], size: int) -> None:
    wanted: dict[str, tuple[object, object]] = {
        "inner_dim": (options.get("inner_dim", 256), size),
        "bias_encoder_type": (options.get("bias_encoder_type", "lstm"), "lstm"),
        "bias_encoder_bid": (options.get("bias_encoder_bid", False), False),
        "seaco_decoder": (options.get("seaco_decoder"), "ParaformerSANMDecoder"),
    }
    for key, (found, served) in wanted.items():
        if found != served:
            raise ModelError(f"{where}: {key} {found} is not served (can: {served})")


def _bias_decoder(decoder: Mapping[str, Any], paraformer: ParaformerDims) -> ParaformerDims:
    kernel = int(decoder.get("kernel_size", 21))
    shift = decoder.get("sanm_shfit", 0)
    return replace(
        paraformer,
        decoder_heads=int(decoder.get("attention_heads", 4)),
        decoder_units=int(decoder.get("linear_units", 2048)),
        decoder_blocks=int(decoder.get("att_layer_num", 6)),
        decoder_kernel=kernel,
        decoder_shift=(kernel - 1) // 2 if shift is None else int(shift),
    )
