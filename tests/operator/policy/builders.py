"""Pools and pods in one line each, so that a test shows only what it is about."""

from __future__ import annotations

from typing import Any

from asrpool_operator.api import ASRPoolSpec, parse
from asrpool_operator.policy.view import EMPTY_COST
from asrpool_operator.snapshot import GatewaySnapshot, PodPhase, PoolSnapshot, WorkerSnapshot, WorkerStatus

NOW = 1_000_000.0


def spec(
    per_pod: int | str = 4,
    *,
    sessions: dict[str, Any] | None = None,
    gateway: dict[str, Any] | None = None,
    **scaling: Any,
) -> ASRPoolSpec:
    """A pool's spec; scaling fields in camelCase."""
    return parse(
        {
            "metadata": {"name": "p"},
            "spec": {
                "models": {"online": "/m"},
                "sessions": {"perPod": per_pod, **(sessions or {})},
                "scaling": {"minReplicas": 0, "maxReplicas": 20, **scaling},
                "gateway": gateway or {},
            },
        }
    ).spec


def status(active: int = 0, **fields: Any) -> WorkerStatus:
    """A fresh answer of a worker with room for four."""
    given = {
        "scraped_unix_seconds": NOW,
        "active": active,
        "capacity": 4,
        "configured_capacity": 4,
        "ages_seconds": (10.0,) * active,
    }
    return WorkerStatus.model_validate(given | fields)


def ready(name: str, active: int = 0, *, status_fields: dict[str, Any] | None = None, **fields: Any) -> WorkerSnapshot:
    """A ready pod that came at once and answered just now."""
    given = {
        "name": name,
        "phase": PodPhase.READY,
        "created_unix_seconds": NOW - 95,
        "ready_unix_seconds": NOW - 95,
        "template_hash": "t1",
        "protected": fields.get("deletion_cost", 0) > EMPTY_COST,
        "status": status(active, **(status_fields or {})),
    }
    return WorkerSnapshot.model_validate(given | fields)


def draining(
    name: str, active: int = 0, *, cost: int = 0, held: int = 0, since: float = NOW - 20, **fields: Any
) -> WorkerSnapshot:
    """A ready pod that drains, by its annotation and by its own word."""
    return ready(
        name,
        active,
        status_fields={"draining": True, "held_ids": held},
        deletion_cost=cost,
        draining_since_unix_seconds=since,
        **fields,
    )


def silent(name: str, **fields: Any) -> WorkerSnapshot:
    """A pod that has been ready for long and does not answer."""
    return ready(name, **{"status": None, **fields})


def coming(name: str, phase: PodPhase = PodPhase.STARTING, **fields: Any) -> WorkerSnapshot:
    """A pod that is not ready."""
    given = {"name": name, "phase": phase, "created_unix_seconds": NOW - 3, "template_hash": "t1"}
    return WorkerSnapshot.model_validate(given | fields)


def failing(name: str, problem: str = "ImagePullBackOff: no such image", **fields: Any) -> WorkerSnapshot:
    """A pod that the cluster cannot start."""
    return coming(name, PodPhase.FAILING, problem=problem, **fields)


def pool(
    *workers: WorkerSnapshot, replicas: int | None = None, waiting: int = 0, gateway: GatewaySnapshot | None = None
) -> PoolSnapshot:
    """A pool whose Deployment is set to the pods there are, unless said otherwise."""
    standing = sum(worker.phase is not PodPhase.TERMINATING for worker in workers)
    return PoolSnapshot(
        name="p",
        namespace="n",
        replicas=standing if replicas is None else replicas,
        workers=workers,
        gateway=gateway or GatewaySnapshot(ready_replicas=1, scraped_unix_seconds=NOW, held=waiting),
    )
