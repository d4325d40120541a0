"""The operator's own Prometheus metrics. Their names are part of what users build dashboards on."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_POOL = ("namespace", "pool")


class Metrics:
    """All metrics of one operator process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.leader = Gauge("asrpool_operator_leader", "1 while this replica leads.", registry=self.registry)
        self.pools = Gauge("asrpool_operator_pools", "ASRPools known to this replica.", registry=self.registry)
        self.api_live = Gauge(
            "asrpool_operator_api_live", "1 while all watches of the API server are connected.", registry=self.registry
        )
        self.tick_seconds = Histogram(
            "asrpool_operator_tick_seconds",
            "Time that one tick of one pool took: observe, decide, apply.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
            registry=self.registry,
        )
        self.ticks = Counter(
            "asrpool_operator_ticks",
            "Ticks by how they ended: ok, cluster_error, spec_error, bug.",
            ("result",),
            registry=self.registry,
        )
        self.scrape_failures = Counter(
            "asrpool_operator_scrape_failures",
            "Worker and gateway admin ports of ready pods that did not answer.",
            _POOL,
            registry=self.registry,
        )
        self.decisions = Counter(
            "asrpool_operator_decisions",
            "Decisions that changed something (replicas, a drain, its end), by the rule that decided.",
            (*_POOL, "rule"),
            registry=self.registry,
        )
        self.replicas = Gauge(
            "asrpool_operator_replicas",
            "Worker pods of a pool: desired (by the rules), set (on the Deployment), ready, draining.",
            (*_POOL, "state"),
            registry=self.registry,
        )
        self.sessions = Gauge("asrpool_operator_sessions", "Live streams of a pool.", _POOL, registry=self.registry)
        self.queued = Gauge(
            "asrpool_operator_queued", "Streams that wait at a pool's gateway.", _POOL, registry=self.registry
        )

    def forget(self, namespace: str, pool: str) -> None:
        """Drop a pool that is gone, so that its last numbers are not reported for ever."""
        labels = {"namespace": namespace, "pool": pool}
        for metric in (self.scrape_failures, self.decisions, self.replicas, self.sessions, self.queued):
            metric.remove_by_labels(labels)
