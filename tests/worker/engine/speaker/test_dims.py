"""What a CAM++ configuration may say; what it may not is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.speaker.dims import SpeakerDims, graph_sizes, read_dims
from asrpool_worker.errors import ModelError


def written(path: Path, model_conf: Any, model: str = "CAMPPlus") -> Path:
    (path / "config.yaml").write_text(yaml.safe_dump({"model": model, "model_conf": model_conf}), encoding="utf-8")
    return path


def test_sizes_come_from_the_configuration(tmp_path: Path) -> None:
    conf = {"feat_dim": 80, "embedding_size": 96, "growth_rate": 8, "bn_size": 2, "init_channels": 32}
    dims = read_dims(modeldir.read(written(tmp_path, conf)))
    assert dims == SpeakerDims(80, 96, 8, 2, 32)
    assert graph_sizes(dims) == {"frames": 80}


def test_without_any_they_are_funasrs(tmp_path: Path) -> None:
    assert read_dims(modeldir.read(written(tmp_path, None))) == SpeakerDims(80, 192, 32, 4, 128)


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"feat_dim": 40}, "feat_dim must be 80"),
        ({"embedding_size": 0}, "below 1"),
        ({"growth_rate": 1, "bn_size": 1}, "at least 2"),
        ({"growth_rate": "wide"}, "malformed"),
        ({"config_str": "batchnorm-prelu"}, "config_str batchnorm-prelu"),
        ({"output_level": "frame"}, "output_level frame"),
        ([1], "model_conf must be a mapping"),
    ],
    ids=str,
)
def test_what_is_not_served_is_named(tmp_path: Path, conf: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words) as raised:
        read_dims(modeldir.read(written(tmp_path, conf)))
    assert "config.yaml" in str(raised.value)


def test_another_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ERes2NetV2 is not a CAMPPlus"):
        read_dims(modeldir.read(written(tmp_path, {}, model="ERes2NetV2")))
