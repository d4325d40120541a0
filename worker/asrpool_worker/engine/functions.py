"""Which family of models serves which FunASR class. Names only: a family's torch code is imported when it is built."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from asrpool_worker.errors import ModelError

if TYPE_CHECKING:
    from asrpool_worker.engine.modeldir import ModelDir
    from asrpool_worker.engine.tensor_function import TensorFunction

FAMILIES = {
    "CAMPPlus": "speaker.graph",
    "CTTransformer": "punctuation.graph",
    "CTTransformerStreaming": "punctuation.graph",
    "FsmnVADStreaming": "vad.graph",
    "ParaformerStreaming": "paraformer.streaming_graph",
    "Paraformer": "paraformer.offline_graph",
    "BiCifParaformer": "seaco.graph",
    "SeacoParaformer": "seaco.graph",
    "SenseVoiceSmall": "sensevoice.graph",
}
"""FunASR's class → the module under this package that builds its tensor function."""

QUANTISED_CLASSES = frozenset(FAMILIES) - {"CAMPPlus", "FsmnVADStreaming"}
"""Those worth a graph with 8-bit weights. The others are so small that a step would gain nothing."""


class GraphModule(Protocol):
    """What a family's `graph.py` offers."""

    def build(self, model: ModelDir) -> TensorFunction:
        """The tensor function of `model`, with its weights. Raises `ModelError` naming the file at fault."""


def build(model: ModelDir) -> TensorFunction:
    """The tensor function of a model directory; needs torch. Raises `ModelError` for a class that no family serves."""
    family = FAMILIES.get(model.model_class)
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise ModelError(f"{model.path}/config.yaml: model {model.model_class} is not served (can: {known})")
    module = cast("GraphModule", importlib.import_module(f"asrpool_worker.engine.{family}"))
    return module.build(model)
