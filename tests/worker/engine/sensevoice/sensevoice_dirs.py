"""SenseVoiceSmall directories with random weights, in FunASR's layout, with a sentencepiece model of a few sentences."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import yaml

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.sensevoice.dims import read_dims
from asrpool_worker.engine.sensevoice.network import SenseVoice
from asrpool_worker.engine.sensevoice.vocabulary import read_vocabulary
from tests.worker.engine import model_dirs

SENTENCEPIECE_NAME = "tiny_spectok.bpe.model"
LANGUAGE_MARKS = ("<|zh|>", "<|en|>", "<|yue|>", "<|ja|>", "<|ko|>", "<|nospeech|>")
OTHER_MARKS = ("<|HAPPY|>", "<|NEUTRAL|>", "<|EMO_UNKNOWN|>", "<|Speech|>", "<|BGM|>", "<|withitn|>", "<|woitn|>")
SENTENCES = (
    "turn on the light in the living room",
    "what is the weather like this morning",
    "don't open the window, it's cold outside.",
    "打开客厅的灯，关上窗户。",
    "今天天气怎么样",
    "电灯を消してください",
    "불을 켜 주세요",
)


def sentencepiece_model(sentences: Sequence[str] = SENTENCES, **options: Any) -> bytes:
    """A sentencepiece model of about a hundred pieces, the marks among them, numbered as in the released one."""
    written = io.BytesIO()
    settings: dict[str, Any] = {
        "model_type": "bpe",
        "vocab_size": 120,
        "hard_vocab_limit": False,
        "character_coverage": 1.0,
        "user_defined_symbols": [*LANGUAGE_MARKS, *OTHER_MARKS],
        "unk_id": 0,
        "bos_id": 1,
        "eos_id": 2,
        "pad_id": -1,
        "num_threads": 1,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=written, **(settings | options)
    )
    return written.getvalue()


def config(size: int = 32, blocks: int = 3, extra_blocks: int = 2, **overrides: Any) -> dict[str, Any]:
    """FunASR's configuration of a SenseVoiceSmall of that width."""
    frontend_conf = model_dirs.paraformer_config(streaming=False)["frontend_conf"]
    return {
        "model": "SenseVoiceSmall",
        "model_conf": {"length_normalized_loss": True, "sos": 1, "eos": 2, "ignore_id": -1},
        "encoder": "SenseVoiceEncoderSmall",
        "encoder_conf": {
            "output_size": size,
            "attention_heads": 2,
            "linear_units": 2 * size,
            "num_blocks": blocks,
            "tp_blocks": extra_blocks,
            "input_layer": "pe",
            "pos_enc_class": "SinusoidalPositionEncoder",
            "normalize_before": True,
            "kernel_size": 11,
            "sanm_shfit": 0,
            "selfattention_layer_type": "sanm",
        },
        "ctc_conf": {"dropout_rate": 0.0, "ctc_type": "builtin", "reduce": True, "ignore_nan_grad": True},
        "tokenizer": "SentencepiecesTokenizer",
        "tokenizer_conf": {"bpemodel": None, "unk_symbol": "<unk>", "split_with_space": True},
        "frontend": "WavFrontend",
        "frontend_conf": {**frontend_conf, "cmvn_file": None},
    } | overrides


def write(directory: Path, settings: dict[str, Any], pieces: bytes, seed: int = 0, blank_bias: float = 0.0) -> Path:
    """Write `settings` with random weights and the sentencepiece model `pieces`; configuration.json names the files.

    `blank_bias` says how often the model hears nothing: more of it, more blanks.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (directory / SENTENCEPIECE_NAME).write_bytes(pieces)
    files = {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"bpemodel": SENTENCEPIECE_NAME},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    }
    (directory / "configuration.json").write_text(json.dumps({"file_path_metas": files}), encoding="utf-8")
    model_dirs._write_cmvn(directory / "am.mvn", model_dirs.MEL_BINS * settings["frontend_conf"]["lfr_m"], seed)
    torch.manual_seed(seed)
    model = modeldir.read(directory)
    module = SenseVoice(read_dims(model), len(read_vocabulary(model)))
    module.ctc.ctc_lo.weight.data *= 4.0  # clearer differences between frames than fresh weights make
    module.ctc.ctc_lo.bias.data[0] += blank_bias
    torch.save(module.state_dict(), directory / "model.pt")
    return directory
