"""Punctuation model directories with random weights, in FunASR's layout: any size, and small enough to run in every test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.punctuation.dims import read_dims
from asrpool_worker.engine.punctuation.network import Punctuation

WORDS = [
    "今",
    "天",
    "开",
    "关",
    "灯",
    "门",
    "你",
    "好",
    "吗",
    "我",
    "们",
    "去",
    "哪",
    "里",
    "hello",
    "world",
    "ok",
    "i'm",
    "A",
    "42",
]
PHRASES = ["今天", "你好", "我们", "开灯"]
"""Words of several characters, which a model with a user dictionary knows."""

TOKENS = ["<blank>", "<s>", "</s>", *WORDS, *PHRASES, "<unk>"]
PUNC_LIST = ["<unk>", "_", "，", "。", "？", "、"]


def punc_config(
    realtime: bool, size: int = 32, embed_size: int = 32, blocks: int = 3, **encoder: Any
) -> dict[str, Any]:
    """FunASR's configuration of a CT-Transformer of that width; `encoder` are further keys of encoder_conf."""
    return {
        "model": "CTTransformerStreaming" if realtime else "CTTransformer",
        "model_conf": {
            "ignore_id": 0,
            "embed_unit": embed_size,
            "att_unit": size,
            "dropout_rate": 0.1,
            "punc_list": PUNC_LIST,
            "punc_weight": [1.0] * len(PUNC_LIST),
            "sentence_end_id": 3,
        },
        "encoder": "SANMVadEncoder" if realtime else "SANMEncoder",
        "encoder_conf": {
            "input_size": embed_size,
            "output_size": size,
            "attention_heads": 2,
            "linear_units": 2 * size,
            "num_blocks": blocks,
            "dropout_rate": 0.1,
            "positional_dropout_rate": 0.1,
            "attention_dropout_rate": 0.0,
            "input_layer": "pe",
            "pos_enc_class": "SinusoidalPositionEncoder",
            "normalize_before": True,
            "kernel_size": 11,
            "sanm_shfit": 5 if realtime else 0,
            "selfattention_layer_type": "sanm",
            "padding_idx": 0,
        }
        | encoder,
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>"},
    }


USUAL: dict[str, float] = {"_": 3.0, "<unk>": -100.0}
"""About every third word gets a mark."""

COMMAS_ONLY = USUAL | {"。": -100.0, "？": -100.0}
SILENT: dict[str, float] = {"_": 100.0}


def write(
    directory: Path,
    config: dict[str, Any],
    seed: int = 0,
    likely: dict[str, float] = USUAL,
    user_dict: tuple[str, ...] = (),
) -> Path:
    """Write `config` with random weights and tokens into `directory`.

    `likely` is added to the scores of marks. `user_dict` are the words of a jieba dictionary, which the large released
    model carries.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    (directory / "tokens.json").write_text(json.dumps(TOKENS), encoding="utf-8")
    if user_dict:
        lines = "".join(f"{word} 1000000 n\n" for word in user_dict)
        (directory / "jieba_usr_dict").write_text(lines, encoding="utf-8")
    torch.manual_seed(seed)
    module = Punctuation(read_dims(modeldir.read(directory)))
    module.decoder.weight.data.mul_(4.0)
    module.decoder.bias.data = torch.tensor([likely.get(mark, 0.0) for mark in PUNC_LIST])
    torch.save(module.state_dict(), directory / "model.pt")
    return directory
