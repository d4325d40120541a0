"""Weights from a FunASR checkpoint into a module, by name, without running what the file says.

The file is mapped, not copied, and only tensors are unpickled (`weights_only`); entries that the module has no use for
(training heads, embeddings of the sampler) are left alone.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

from asrpool_worker.errors import ModelError


def without_weights() -> torch.device:
    """`with` it, modules are made without memory for their weights: all of them come from a checkpoint, and filling 220 million
    numbers at random first takes seconds.
    """
    return torch.device("meta")


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill `module` from the checkpoint at `path`. Raises `ModelError` when the file is missing, damaged or of another model."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: missing; copy it from the original model") from error
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]})") from error
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(wrapper), dict):
            checkpoint = checkpoint[wrapper]
    wanted = module.state_dict()
    missing = sorted(name for name in wanted if name not in checkpoint)
    if missing:
        raise ModelError(
            f"{path}: holds no {missing[0]} ({len(missing)} of {len(wanted)} tensors missing); another model's weights?"
        )
    differing = [name for name, tensor in wanted.items() if checkpoint[name].shape != tensor.shape]
    if differing:
        name = differing[0]
        raise ModelError(
            f"{path}: {name} is {tuple(checkpoint[name].shape)}, config.yaml says {tuple(wanted[name].shape)}"
        )
    module.load_state_dict({name: checkpoint[name].float() for name in wanted}, assign=True)
