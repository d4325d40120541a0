"""The onnx engine: exported graphs under onnxruntime. No torch: this is what the CPU image runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from asrpool_worker.engine.functions import QUANTISED_CLASSES
from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.errors import ModelError, SettingsError

GRAPH_PROPERTY = "asrpool.graph"
"""Model metadata: which graph this is. FunASR's own export is named model.onnx as well."""

GRAPH_VERSION = "3"
PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


class HostArrays:
    """Arrays of numpy itself."""

    def zeros(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Zeros; the pages are taken when first written."""
        return np.zeros(shape, dtype=np.float32)

    def from_host(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The array itself."""
        return array

    def to_host(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The array itself."""
        return array


class OnnxGraph:
    """One onnxruntime session."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._inputs = [entry.name for entry in session.get_inputs()]

    def __call__(self, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Run once."""
        return tuple(self._session.run(None, {name: inputs[name] for name in self._inputs}))


class OnnxBackend:
    """Loads the graphs that `asrpool-worker export` wrote."""

    def __init__(self, device: str, threads: int = 1, *, int8: bool = False) -> None:
        kind = device.split(":", maxsplit=1)[0]
        if kind not in PROVIDERS or PROVIDERS[kind][0] not in onnxruntime.get_available_providers():
            raise SettingsError(
                f"device {device!r} cannot be used: this onnxruntime has {onnxruntime.get_available_providers()}"
            )
        self._providers = PROVIDERS[kind]
        self._int8 = int8
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        # A pattern is kept for each shape of input, and every number of rows is one: memory for nothing, and no time gained.
        self._options.enable_mem_pattern = False
        # Threads spin between the operators of a step, which are many and short (a sixth of the time, on two cores), and
        # never between steps: a pool that spins for ever burns the cores that the event loop and other pods need.
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        self._options.add_session_config_entry("session.force_spinning_stop", "1")
        self._options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self._options.log_severity_level = 3
        self._arrays = HostArrays()

    @property
    def arrays(self) -> HostArrays:
        """Those of numpy."""
        return self._arrays

    def load(self, model: ModelDir, name: str, sizes: Mapping[str, int]) -> OnnxGraph:
        """The exported graph of `model`, which must be `name` with inputs whose last axes are `sizes`."""
        int8 = self._int8 and model.model_class in QUANTISED_CLASSES
        path = model.int8_path if int8 else model.onnx_path
        export = f"run `asrpool-worker export {'--int8 ' if int8 else ''}{model.path}` where torch is installed"
        if not path.is_file():
            raise ModelError(f"{path}: missing; {export}")
        try:
            session = onnxruntime.InferenceSession(str(path), self._options, providers=self._providers)
        except Exception as error:  # onnxruntime's errors share no base class but Exception
            raise ModelError(f"{path}: cannot be loaded ({error}); {export}") from error
        found = session.get_modelmeta().custom_metadata_map.get(GRAPH_PROPERTY)
        if found != f"{name} {GRAPH_VERSION}":
            raise ModelError(
                f"{path}: holds {found or 'a graph of another exporter'}, needed is {name} {GRAPH_VERSION}; {export}"
            )
        found_sizes = {entry.name: entry.shape[-1] for entry in session.get_inputs() if entry.name in sizes}
        if found_sizes != dict(sizes):
            raise ModelError(f"{path}: its inputs are {found_sizes}, config.yaml says {dict(sizes)}; {export}")
        return OnnxGraph(session)
