"""CAM++ directories with random weights, laid out as the released one: no front end, no tokens, weights by another name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.speaker.dims import read_dims
from asrpool_worker.engine.speaker.network import SpeakerNetwork

WEIGHTS_NAME = "campplus_cn_common.bin"


def config(**model_conf: Any) -> dict[str, Any]:
    """A narrow CAM++; FunASR's depth."""
    return {
        "model": "CAMPPlus",
        "model_conf": {
            "feat_dim": 80,
            "embedding_size": 24,
            "growth_rate": 4,
            "bn_size": 2,
            "init_channels": 16,
            "config_str": "batchnorm-relu",
            "memory_efficient": True,
            "output_level": "segment",
        }
        | model_conf,
    }


def write(directory: Path, settings: dict[str, Any], seed: int = 0) -> Path:
    """Write `settings` with random weights; the norms' statistics are random too, as those of a trained model would be."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    files = {"init_param": WEIGHTS_NAME, "config": "config.yaml"}
    (directory / "configuration.json").write_text(json.dumps({"file_path_metas": files}), encoding="utf-8")
    torch.manual_seed(seed)
    module = SpeakerNetwork(read_dims(modeldir.read(directory)))
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_(0.0, 0.3)
            norm.running_var.uniform_(0.3, 1.5)
            if norm.affine:
                torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
                torch.nn.init.normal_(norm.bias, 0.0, 0.3)
    torch.save(module.state_dict(), directory / WEIGHTS_NAME)
    return directory
