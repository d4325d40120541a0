"""GPU metrics, without a GPU: what a reading becomes, and that its absence is quiet."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from asrpool_worker.server.gpu import GpuCollector, GpuReading, gpu_collector


def test_a_reading_becomes_three_gauges() -> None:
    registry = CollectorRegistry()
    registry.register(GpuCollector(lambda: GpuReading("H200", 0.5, 10, 100)))
    values = {
        name: registry.get_sample_value(f"asrpool_gpu_{name}", {"gpu": "H200"})
        for name in ("utilization_ratio", "memory_used_bytes", "memory_total_bytes")
    }
    assert values == {"utilization_ratio": 0.5, "memory_used_bytes": 10, "memory_total_bytes": 100}


def test_a_gpu_that_does_not_answer_costs_its_own_metrics_only() -> None:
    assert list(GpuCollector(lambda: None).collect()) == []


def test_a_cpu_worker_has_no_gpu_metrics() -> None:
    assert gpu_collector("cpu") is None


def test_where_nvml_cannot_be_asked_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    assert gpu_collector("cuda:77") is None
    assert caplog.text.count("no GPU metrics") == 1
