"""What the two engines have in common: a backend turns a model directory into a graph, a graph turns inputs into outputs.

`torch_backend` runs the tensor functions themselves, `onnx_backend` their export; all that surrounds them (padding,
masks, caches, reading results) is in `models`, once for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.slots import Arrays


class RunGraph(Protocol):
    """A loaded model."""

    def __call__(self, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Run once. Arrays in and out are those of the backend's `Arrays`."""


class Backend(Protocol):
    """Loads models; raises `ModelError` naming the file at fault."""

    @property
    def arrays(self) -> Arrays:
        """The arrays its graphs take and give."""

    def load(self, model: ModelDir, name: str, sizes: Mapping[str, int]) -> RunGraph:
        """The tensor function `name` of `model`; `sizes` are the last axes that its inputs must have."""
