"""The torch engine: the tensor functions themselves, on a GPU or a CPU. The only engine module that needs torch at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
from torch import nn

from asrpool_worker.engine import functions
from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.errors import ModelError, SettingsError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class TorchArrays:
    """Tensors on one device, floats in one type."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype

    def zeros(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Zeros on the device."""
        return torch.zeros(shape, device=self._device, dtype=self._dtype)

    def from_host(self, array: npt.NDArray[Any]) -> torch.Tensor:
        """To the device; floats become the engine's type, whole numbers stay."""
        tensor = torch.from_numpy(array)
        return tensor.to(self._device, self._dtype) if tensor.is_floating_point() else tensor.to(self._device)

    def to_host(self, array: torch.Tensor) -> npt.NDArray[Any]:
        """To numpy; half precision becomes float32."""
        tensor = array.detach().cpu()
        result: npt.NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        return result


class TorchGraph:
    """A module called by input names."""

    def __init__(self, module: nn.Module, inputs: tuple[str, ...]) -> None:
        self._module = module
        self._inputs = inputs

    def __call__(self, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Run once without gradients."""
        with torch.inference_mode():
            outputs: tuple[Any, ...] = self._module(*(inputs[name] for name in self._inputs))
        return outputs


class TorchBackend:
    """Loads FunASR weights into the tensor functions."""

    def __init__(self, device: str, dtype: str, threads: int) -> None:
        if dtype not in DTYPES:
            raise SettingsError(f"dtype {dtype!r} is unknown; use one of {', '.join(DTYPES)}")
        try:
            self._device = torch.device(device)
            torch.zeros(1, device=self._device)
        except (RuntimeError, AssertionError) as error:
            raise SettingsError(f"device {device!r} cannot be used: {error}") from error
        self._dtype = DTYPES[dtype]
        torch.set_num_threads(threads)
        self._arrays = TorchArrays(self._device, self._dtype)

    @property
    def arrays(self) -> TorchArrays:
        """Tensors of this device and type."""
        return self._arrays

    def load(self, model: ModelDir, name: str, sizes: Mapping[str, int]) -> TorchGraph:
        """The tensor function of `model`; its name and sizes follow from the same config.yaml that asked for them."""
        function = functions.build(model)
        if function.name != name:
            raise ModelError(f"{model.path}: is a model for {function.name}, needed is {name} {dict(sizes)}")
        return TorchGraph(function.module.to(self._device, self._dtype).eval(), function.inputs)
