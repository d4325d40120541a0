"""What one `decide()` costs, and how it grows with the pods of a pool. Baseline: a pool of ten pods."""

from __future__ import annotations

import time
from dataclasses import dataclass

from asrpool_operator.api import parse
from asrpool_operator.policy.decide import decide
from asrpool_operator.policy.decision import Memory
from asrpool_operator.snapshot import GatewaySnapshot, PodPhase, PoolSnapshot, WorkerSnapshot, WorkerStatus

NOW = 1_800_000_000.0
TICKS = 50


@dataclass(frozen=True)
class DecidingRow:
    """One measured point. `ratio_per_pod`: cost per pod relative to the baseline's."""

    pods: int
    microseconds: float
    ratio_per_pod: float


def measure(counts: tuple[int, ...] = (10, 100, 1000)) -> list[DecidingRow]:
    """Ticks of a steady pool at each size, memory carried on as the operator does."""
    costs = {count: _seconds_a_tick(count) for count in counts}
    base = costs[counts[0]] / counts[0]
    return [DecidingRow(n, round(1e6 * cost, 1), round(cost / n / base, 3)) for n, cost in costs.items()]


def _seconds_a_tick(pods: int) -> float:
    pool = parse(
        {
            "apiVersion": "asrpool.dev/v1alpha1",
            "kind": "ASRPool",
            "metadata": {"name": "bench"},
            "spec": {"models": {"online": "x"}, "scaling": {"maxReplicas": 2000}},
        }
    )
    memory = Memory()
    best = float("inf")
    for tick in range(TICKS):
        snapshot = _snapshot(pods, NOW + tick)
        began = time.perf_counter()
        memory = decide(pool.spec, snapshot, memory, NOW + tick).memory
        best = min(best, time.perf_counter() - began)
    return best


def _snapshot(pods: int, now: float) -> PoolSnapshot:
    workers = tuple(
        WorkerSnapshot(
            name=f"bench-worker-{n}",
            phase=PodPhase.READY,
            created_unix_seconds=NOW - 3600,
            ready_unix_seconds=NOW - 3500,
            status=WorkerStatus(
                scraped_unix_seconds=now,
                active=15,
                capacity=20,
                configured_capacity=20,
                ages_seconds=tuple(float(age) for age in range(15)),
                ended_count=100,
                ended_seconds_sum=18_000.0,
                ended_seconds_sq_sum=4e6,
            ),
        )
        for n in range(pods)
    )
    gateway = GatewaySnapshot(ready_replicas=1, scraped_unix_seconds=now)
    return PoolSnapshot(name="bench", namespace="bench", replicas=pods, workers=workers, gateway=gateway)
