"""A model as one pure tensor function: what the torch engine runs and what `asrpool-worker export` writes as a graph.

Each model family builds one from a model directory in its `graph.py`; `functions` says which family serves which class.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class TensorFunction:
    """`module` with its weights, called with `inputs` in that order, gives `outputs`.

    `axes` names the lengths that are open, by input or output and axis; `example` are small random inputs in which every
    open length differs from the others, so that tracing cannot mistake one for another.
    """

    name: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axes: dict[str, dict[int, str]]
    example: tuple[Tensor, ...]
