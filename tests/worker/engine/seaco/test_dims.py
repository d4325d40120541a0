"""What is not computed is refused by file and key, before any weight is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.seaco.dims import read_bicif, read_seaco
from asrpool_worker.errors import ModelError
from tests.worker.engine import model_dirs
from tests.worker.engine.seaco import seaco_dirs


def written(directory: Path, config: dict[str, Any]) -> modeldir.ModelDir:
    model_dirs.write(directory, model_dirs.paraformer_config(streaming=False))
    (directory / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return modeldir.read(directory)


def with_option(section: str, **options: Any) -> dict[str, Any]:
    config = seaco_dirs.seaco_config()
    config[section] |= options
    return config


REFUSED = {
    "no time-stamp head": (seaco_dirs.seaco_config(predictor="CifPredictorV2"), "CifPredictorV3"),
    "another grid": (with_option("predictor_conf", upsample_times=5), "upsample_times 3"),
    "another head": (with_option("predictor_conf", upsample_type="cnn_attn"), "upsample_type cnn_attn"),
    "another threshold": (with_option("predictor_conf", threshold=1.1), "threshold must be 1"),
    "words without order": (with_option("model_conf", bias_encoder_type="mean"), "bias_encoder_type mean"),
    "both directions": (with_option("model_conf", bias_encoder_bid=True), "bias_encoder_bid"),
    "another width": (with_option("model_conf", inner_dim=64), "inner_dim 64"),
    "no such token": (with_option("model_conf", NO_BIAS=8377), "NO_BIAS 8377"),
    "not a number": (with_option("model_conf", NO_BIAS="none"), "NO_BIAS is malformed"),
    "too few layers": (with_option("seaco_decoder_conf", att_layer_num=4), "att_layer_num"),
    "layers without attention": (with_option("seaco_decoder_conf", num_blocks=8), "num_blocks"),
    "an output layer": (with_option("seaco_decoder_conf", use_output_layer=True), "use_output_layer"),
    "another decoder": (
        seaco_dirs.seaco_config(seaco_decoder="TransformerDecoder"),
        "seaco_decoder TransformerDecoder",
    ),
    "no bias encoder": (seaco_dirs.bicif_config(), "has no bias encoder"),
}


@pytest.mark.parametrize(("config", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_served_is_named(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"config.yaml.*{message}"):
        read_seaco(written(tmp_path, config))


def test_the_released_options_are_read(tmp_path: Path) -> None:
    """A key at the top of the file wins over model_conf, as in FunASR; six layers where att_layer_num says so, not num_blocks."""
    dims = read_seaco(written(tmp_path, seaco_dirs.seaco_config(NO_BIAS=7)))
    assert dims.no_bias == 7
    assert (dims.bias.decoder_blocks, dims.bias.decoder_kernel, dims.bias.decoder_units) == (6, 21, 48)
    assert dims.timestamps.recurrent
    assert not dims.timestamps.shares_convolution


def test_a_model_without_hotwords_is_read(tmp_path: Path) -> None:
    dims = read_bicif(written(tmp_path, seaco_dirs.bicif_config()))
    assert (dims.timestamps.smooth, dims.timestamps.noise) == (0.25, 0.01)
