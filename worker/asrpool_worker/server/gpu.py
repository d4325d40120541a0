"""The GPU's use and memory as metrics, read from NVML at each scrape; nothing at all where there is no GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GpuReading:
    """One GPU at one moment. `utilization` is the share of the last sampling period in which a kernel ran, 0 to 1."""

    name: str
    utilization: float
    memory_used_bytes: int
    memory_total_bytes: int


class GpuCollector(Collector):
    """Turns readings into `asrpool_gpu_*`."""

    def __init__(self, read: Callable[[], GpuReading | None]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The present reading; nothing when the GPU did not answer."""
        reading = self._read()
        if reading is None:
            return
        for name, documentation, value in (
            ("asrpool_gpu_utilization_ratio", "Share of time in which a kernel ran.", reading.utilization),
            ("asrpool_gpu_memory_used_bytes", "GPU memory in use, by whomever.", reading.memory_used_bytes),
            ("asrpool_gpu_memory_total_bytes", "GPU memory there is.", reading.memory_total_bytes),
        ):
            family = GaugeMetricFamily(name, documentation, labels=["gpu"])
            family.add_metric([reading.name], value)
            yield family


def gpu_collector(device: str) -> GpuCollector | None:
    """A collector for `cuda` or `cuda:N`; None for `cpu`, or where NVML cannot be asked (said once in the log)."""
    if not device.startswith("cuda"):
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
        name = pynvml.nvmlDeviceGetName(handle)
    except ImportError:
        log.warning("no GPU metrics: the package nvidia-ml-py is not installed")
        return None
    except pynvml.NVMLError as error:
        log.warning("no GPU metrics: NVML says %s", error)
        return None

    def read() -> GpuReading | None:
        try:
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            percent = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
        except pynvml.NVMLError as error:
            log.warning("the GPU did not answer: %s", error)
            return None
        return GpuReading(str(name), percent / 100, int(memory.used), int(memory.total))

    return GpuCollector(read)
