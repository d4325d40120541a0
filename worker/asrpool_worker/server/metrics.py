"""The worker's Prometheus metrics. Their names are a contract with the operator, the dashboards and the users' alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from asrpool_worker.engine.messages import EngineStats
from asrpool_worker.server.admission import Admission

_LATENCY_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_SESSION_BUCKETS = (1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400)
_BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_STEP_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """One process's metrics, on a registry of their own; also the engine's `EngineObserver`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sessions = Counter(
            "asrpool_sessions",
            "Sessions that ended, by how, and newcomers refused.",
            ["result"],
            registry=self.registry,
        )
        self.session_seconds = self._histogram("asrpool_session_seconds", "Length of ended sessions.", _SESSION_BUCKETS)
        self.partial_latency = self._histogram(
            "asrpool_partial_latency_seconds",
            "From the arrival of the last sample needed to the partial.",
            _LATENCY_BUCKETS,
        )
        self.final_latency = self._histogram(
            "asrpool_final_latency_seconds",
            "From the arrival of the last sample needed to the final.",
            _LATENCY_BUCKETS,
        )
        self._batch_size = Histogram(
            "asrpool_batch_size",
            "Sessions in one model step.",
            ["stage"],
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self._step_seconds = Histogram(
            "asrpool_step_seconds", "Time of one model step.", ["stage"], buckets=_STEP_BUCKETS, registry=self.registry
        )
        self.model_load = Gauge(
            "asrpool_model_load_seconds", "Time to load and warm up the models.", registry=self.registry
        )
        self.load_phases = Gauge(
            "asrpool_model_load_phase_seconds",
            "Time of each phase of loading; some run side by side.",
            ["phase"],
            registry=self.registry,
        )

    def batch(self, stage: str, rows: int, seconds: float) -> None:
        """One batched step ran (called on the engine's thread)."""
        self._batch_size.labels(stage).observe(rows)
        self._step_seconds.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, documentation: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, documentation, buckets=buckets, registry=self.registry)


class StateCollector(Collector):
    """Gauges read at the moment of the scrape, so that they never lag behind what admission decides by."""

    def __init__(self, admission: Admission, stats: Callable[[], EngineStats | None]) -> None:
        self._admission = admission
        self._stats = stats

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The present state."""
        admission = self._admission
        yield GaugeMetricFamily("asrpool_sessions_active", "Live sessions.", admission.active)
        yield GaugeMetricFamily(
            "asrpool_sessions_capacity",
            "Sessions that this worker may ever hold at once.",
            admission.configured_capacity,
        )
        yield GaugeMetricFamily(
            "asrpool_sessions_admittable",
            "Sessions up to which newcomers are taken; below the capacity when lowered.",
            admission.capacity,
        )
        yield GaugeMetricFamily("asrpool_draining", "1 while no newcomers are taken.", float(admission.draining))
        stats = self._stats()
        yield GaugeMetricFamily(
            "asrpool_realtime_lag_seconds",
            "How long the oldest ready chunk has waited for the engine.",
            stats.lag_seconds if stats else 0.0,
        )
