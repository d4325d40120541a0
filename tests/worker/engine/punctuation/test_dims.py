"""What a punctuation model directory must hold; what is not computed is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.punctuation.dims import read_dims
from asrpool_worker.errors import ModelError
from tests.worker.engine.punctuation import punc_dirs


def test_sizes_are_read(tmp_path: Path) -> None:
    config = punc_dirs.punc_config(realtime=True, size=24, embed_size=16, blocks=2)
    dims = read_dims(modeldir.read(punc_dirs.write(tmp_path, config)))
    assert (dims.realtime, dims.size, dims.embed_size, dims.encoder_blocks, dims.encoder_shift) == (True, 24, 16, 2, 5)
    assert dims.marks == tuple(punc_dirs.PUNC_LIST)
    assert dims.vocabulary == len(punc_dirs.TOKENS)
    assert punc_dirs.TOKENS[dims.unknown] == "<unk>"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "Paraformer"}, r"config\.yaml: model Paraformer cannot serve as punctuation model"),
        ({"encoder": "SANMVadEncoder"}, r"encoder SANMVadEncoder is not served for CTTransformer"),
        ({"encoder_conf": {"input_layer": "embed"}}, r"encoder_conf\.input_layer embed is not served"),
        ({"encoder_conf": {"input_layer": None}}, r"encoder_conf\.input_layer None is not served"),
        ({"encoder_conf": {"normalize_before": False}}, r"encoder_conf\.normalize_before False is not served"),
        ({"encoder_conf": {"input_size": 64}}, r"input_size must equal embed_unit \(32\)"),
        ({"encoder_conf": {"attention_heads": 5}}, r"multiple of attention_heads"),
        ({"encoder_conf": {"num_blocks": 0}}, r"num_blocks above 0"),
        ({"encoder_conf": {"num_blocks": "many"}}, r"is incomplete.*many"),
        ({"model_conf": {"punc_list": None}}, r"is incomplete"),
        ({"model_conf": {"att_unit": 64}}, r"att_unit"),
        ({"model_conf": {"embed_unit": 33}, "encoder_conf": {"input_size": 33}}, r"embed_unit must be even"),
        ({"model_conf": {"sentence_end_id": 6}}, r"sentence_end_id 6 is not a number of punc_list"),
        ({"tokenizer_conf": {"unk_symbol": "<OOV>"}}, r"tokens\.json: holds no <OOV>"),
    ],
)
def test_what_is_not_served_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    directory = punc_dirs.write(tmp_path, punc_dirs.punc_config(realtime=False))
    config = yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))
    for key, value in change.items():
        config[key] = config[key] | value if isinstance(value, dict) else value
    (directory / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        read_dims(modeldir.read(directory))


def test_a_token_twice_is_refused(tmp_path: Path) -> None:
    directory = punc_dirs.write(tmp_path, punc_dirs.punc_config(realtime=False))
    (directory / "tokens.json").write_text(json.dumps([*punc_dirs.TOKENS, "今"]), encoding="utf-8")
    with pytest.raises(ModelError, match=r"tokens\.json: holds a token twice"):
        read_dims(modeldir.read(directory))
