"""The sizes of a CT-Transformer and the marks it sets, from FunASR's configuration keys; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.errors import ModelError

ENCODERS = {"CTTransformer": "SANMEncoder", "CTTransformerStreaming": "SANMVadEncoder"}
"""FunASR's class → the encoder it is released with."""

GRAPHS = {"CTTransformer": "punctuation", "CTTransformerStreaming": "punctuation_realtime"}
NO_MARK = "_"
"""How punc_list writes that nothing follows a word."""

SERVED = {
    "input_layer": (None, "pe"),
    "selfattention_layer_type": ("sanm", "sanm"),
    "positionwise_layer_type": ("linear", "linear"),
    "normalize_before": (True, True),
    "concat_after": (False, False),
    "interctc_use_conditioning": (False, False),
}
"""Keys of encoder_conf that change what is computed: FunASR's default (None: one that is not served), the one value served."""


@dataclass(frozen=True)
class PuncDims:
    """Sizes of one CT-Transformer; `marks` are its classes in order, `sentence_end` the number of the full stop."""

    realtime: bool
    vocabulary: int
    unknown: int
    embed_size: int
    size: int
    encoder_heads: int
    encoder_units: int
    encoder_blocks: int
    encoder_kernel: int
    encoder_shift: int
    marks: tuple[str, ...]
    sentence_end: int

    @property
    def graph(self) -> str:
        """The name of its tensor function."""
        return GRAPHS["CTTransformerStreaming" if self.realtime else "CTTransformer"]


def read_dims(model: ModelDir) -> PuncDims:
    """The dimensions in `model`'s configuration. Raises `ModelError` for what this engine does not compute."""
    where = f"{model.path}/config.yaml"
    if model.model_class not in ENCODERS:
        raise ModelError(
            f"{where}: model {model.model_class} cannot serve as punctuation model (can: {', '.join(sorted(ENCODERS))})"
        )
    encoder_class = ENCODERS[model.model_class]
    if model.config.get("encoder") != encoder_class:
        raise ModelError(
            f"{where}: encoder {model.config.get('encoder')} is not served for {model.model_class} (can: {encoder_class})"
        )
    conf, encoder = model.section("model_conf"), model.section("encoder_conf")
    unknown = str(model.section("tokenizer_conf").get("unk_symbol", "<unk>"))
    for key, (default, served) in SERVED.items():
        if encoder.get(key, default) != served:
            raise ModelError(f"{where}: encoder_conf.{key} {encoder.get(key, default)} is not served (can: {served})")
    if unknown not in model.tokens:
        raise ModelError(f"{model.path}/tokens.json: holds no {unknown}, which stands for words it does not know")
    if len(set(model.tokens)) != len(model.tokens):
        raise ModelError(f"{model.path}/tokens.json: holds a token twice; copy it from the original model")
    try:
        dims = PuncDims(
            realtime=model.model_class == "CTTransformerStreaming",
            vocabulary=len(model.tokens),
            unknown=model.tokens.index(unknown),
            embed_size=int(conf.get("embed_unit", 128)),
            size=int(encoder.get("output_size", 256)),
            encoder_heads=int(encoder.get("attention_heads", 4)),
            encoder_units=int(encoder.get("linear_units", 2048)),
            encoder_blocks=int(encoder.get("num_blocks", 6)),
            encoder_kernel=int(encoder.get("kernel_size", 11)),
            encoder_shift=max(0, int(encoder.get("sanm_shfit") or 0)),
            marks=tuple(str(mark) for mark in conf["punc_list"]),
            sentence_end=int(conf.get("sentence_end_id", 3)),
        )
        widths = {
            "encoder_conf.input_size": int(encoder["input_size"]),
            "model_conf.att_unit": int(conf.get("att_unit", 256)),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: model_conf or encoder_conf is incomplete ({error!r})") from error
    if widths != {"encoder_conf.input_size": dims.embed_size, "model_conf.att_unit": dims.size}:
        raise ModelError(
            f"{where}: input_size must equal embed_unit ({dims.embed_size}) and att_unit output_size ({dims.size}), not {widths}"
        )
    _check(dims, where)
    return dims


def _check(dims: PuncDims, where: str) -> None:
    if dims.embed_size < 4 or dims.embed_size % 2:
        raise ModelError(f"{where}: model_conf.embed_unit must be even and at least 4: positions are sines and cosines")
    if dims.encoder_blocks < 1 or dims.encoder_heads < 1 or dims.size % dims.encoder_heads:
        raise ModelError(f"{where}: encoder_conf.output_size must be a multiple of attention_heads, num_blocks above 0")
    if not 0 <= dims.sentence_end < len(dims.marks):
        raise ModelError(f"{where}: model_conf.sentence_end_id {dims.sentence_end} is not a number of punc_list")


def graph_sizes(_dims: PuncDims) -> Mapping[str, int]:
    """No input has a last axis of fixed size: words are numbers, and their count is open."""
    return {}
