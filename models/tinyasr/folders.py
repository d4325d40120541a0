"""Writing a trained model as a FunASR model directory.

``config.yaml`` (FunASR's keys), ``model.pt`` (a plain state dict, loads with ``weights_only=True``),
``am.mvn`` where it has a front end, and for recognisers ``tokens.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from tinyasr.features import Features, write_normalisation


def write(
    folder: Path, config: dict[str, Any], model: Any, mean: Features, deviation: Features, tokens: list[str]
) -> None:
    """Write the directory. ``mean`` and ``deviation`` are of one mel frame, (80,)."""
    write_without_frontend(folder, config, model)
    stacked = config["frontend_conf"]["lfr_m"]
    write_normalisation(folder / "am.mvn", np.tile(mean, stacked), np.tile(deviation, stacked))
    if tokens:
        (folder / "tokens.json").write_text(json.dumps(tokens, ensure_ascii=False, indent=0), encoding="utf-8")


def write_without_frontend(folder: Path, config: dict[str, Any], model: Any) -> None:
    """Write the directory of a model that computes its own features: it has neither statistics nor tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    torch.save(weights, folder / "model.pt")
