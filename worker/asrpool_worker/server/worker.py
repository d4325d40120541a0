"""What the worker's ports share: the book of sessions, the engine once it is loaded, and what both have measured."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace

from asrpool_worker.engine.messages import Engine, EngineStats, Event, Final, Partial
from asrpool_worker.server.admission import Admission, Place
from asrpool_worker.server.latency import LatencyWindow
from asrpool_worker.server.metrics import Metrics, StateCollector
from asrpool_worker.session.funasr import Limits


@dataclass(frozen=True)
class StreamBounds:
    """How far one client may run ahead of the engine, or fall behind with reading, before it has to wait or go."""

    max_backlog_seconds: float = 60.0
    write_seconds: float = 10.0
    max_outbox_messages: int = 1_000


@dataclass
class Worker:
    """The state of one worker process. All of it belongs to the event loop's thread."""

    pod: str
    admission: Admission
    limits: Limits
    bounds: StreamBounds = field(default_factory=StreamBounds)
    model_names: tuple[str, ...] = ()
    started_unix: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.engine: Engine | None = None
        self.load_seconds: float | None = None
        self.metrics = Metrics()
        self.metrics.registry.register(StateCollector(self.admission, self.engine_stats))
        self.partial_latency = LatencyWindow()
        self.final_latency = LatencyWindow()
        self._terminating = False
        self.empty = asyncio.Event()
        self.empty.set()

    def opened(self, engine: Engine, load_seconds: float) -> None:
        """The models are loaded: sessions may come."""
        self.engine = engine
        self.limits = replace(self.limits, modes=engine.modes)
        self.load_seconds = round(load_seconds, 3)
        self.metrics.model_load.set(load_seconds)
        for phase, seconds in engine.stats().load_phases_seconds.items():
            self.metrics.load_phases.labels(phase).set(seconds)
        self.admission.ready = True

    def engine_stats(self) -> EngineStats | None:
        """The engine's counters, once there is an engine."""
        return self.engine.stats() if self.engine else None

    def observe(self, event: Event, hop_seconds: float, now: float) -> None:
        """Count the latency of what is about to be sent; `hop_seconds`: its way from the engine's thread to this one."""
        if isinstance(event, Partial):
            self.partial_latency.add(event.latency_seconds + hop_seconds, now)
            self.metrics.partial_latency.observe(event.latency_seconds + hop_seconds)
        elif isinstance(event, Final):
            self.final_latency.add(event.latency_seconds + hop_seconds, now)
            self.metrics.final_latency.observe(event.latency_seconds + hop_seconds)

    def terminate(self, now: float) -> None:
        """The process is about to end: drain, and for good."""
        self._terminating = True
        self.admission.drain(now)
        self._close_once_empty()

    def engine_died(self, now: float) -> None:
        """Nothing can be recognised here any more: no newcomers, whoever they are."""
        self.admission.drain(now)
        self.admission.close()

    def undrain(self) -> None:
        """Take newcomers again, unless the process is about to end."""
        if not self._terminating:
            self.admission.undrain()

    def occupied(self) -> None:
        """A session got its place."""
        self.empty.clear()

    def release(self, place: Place, result: str, now: float) -> float:
        """A session's socket is closed; returns its length in seconds."""
        seconds = self.admission.release(place, now)
        self.metrics.session_seconds.observe(seconds)
        self.metrics.sessions.labels(result).inc()
        if self.admission.active == 0:
            self.empty.set()
        self._close_once_empty()
        return seconds

    def _close_once_empty(self) -> None:
        """A process that ends goes when it is empty: who came in after that moment would be cut off."""
        if self._terminating and self.admission.active == 0:
            self.admission.close()

    def status(self, percentile: float, window_seconds: float, now: float) -> dict[str, object]:
        """The operator's view of this worker; the shape is ARCHITECTURE.md's contract. `now` is monotonic."""
        admission, stats = self.admission, self.engine_stats()
        partial_seconds, partials = self.partial_latency.percentile(percentile, window_seconds, now)
        final_seconds, finals = self.final_latency.percentile(percentile, window_seconds, now)
        monotonic_to_unix = time.time() - now
        since = admission.draining_since
        return {
            "pod": self.pod,
            "ready": admission.ready,
            "draining": admission.draining,
            "draining_since": None if since is None else round(since + monotonic_to_unix, 3),
            "sessions": {
                "active": admission.active,
                "capacity": admission.capacity,
                "configured_capacity": admission.configured_capacity,
                "ages_seconds": [round(age, 3) for age in admission.ages_seconds(now)],
                "held_ids": admission.held_ids(now),
            },
            "latency": {
                "percentile": percentile,
                "window_seconds": window_seconds,
                "partial_ms": _milliseconds(partial_seconds),
                "final_ms": _milliseconds(final_seconds),
                "samples": partials + finals,
                "partial_samples": partials,
                "final_samples": finals,
            },
            "ended": {
                "count": admission.ended.count,
                "seconds_sum": admission.ended.seconds_sum,
                "seconds_sq_sum": admission.ended.seconds_sq_sum,
            },
            "lag_seconds": stats.lag_seconds if stats else 0.0,
            "started_unix": self.started_unix,
            "load_seconds": self.load_seconds,
        }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
