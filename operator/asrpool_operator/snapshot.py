"""What the operator saw of one pool at one moment.

Everything `decide()` may know of the world is here, so that the same decision can be made again from a file: in
`asrpool plan`, in a simulation, in a test. Times are unix seconds; a missing scrape is `None`, never a zero.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PodPhase(StrEnum):
    """Where a worker pod stands, as far as scaling cares."""

    UNSCHEDULED = "unscheduled"
    STARTING = "starting"
    READY = "ready"
    FAILING = "failing"
    TERMINATING = "terminating"


class WorkerStatus(_Frozen):
    """One worker's own words (`GET /status`), as of `scraped_unix_seconds`."""

    scraped_unix_seconds: float
    active: int = Field(ge=0)
    capacity: int = Field(ge=0)
    configured_capacity: int = Field(ge=1)
    draining: bool = False
    ages_seconds: tuple[float, ...] = ()
    held_ids: int = Field(default=0, ge=0)
    partial_ms: float | None = None
    final_ms: float | None = None
    latency_samples: int = 0
    """Of both kinds together."""
    partial_samples: int | None = None
    """Of partials alone; `None` from a worker that counts only both together."""
    final_samples: int | None = None
    lag_seconds: float = 0.0
    ended_count: int = 0
    ended_seconds_sum: float = 0.0
    ended_seconds_sq_sum: float = 0.0


class WorkerSnapshot(_Frozen):
    """One worker pod: what the cluster says of it and, if it could be asked, what it says itself."""

    name: str
    ip: str | None = None
    node: str | None = None
    phase: PodPhase
    created_unix_seconds: float
    ready_unix_seconds: float | None = None
    template_hash: str = ""
    draining_since_unix_seconds: float | None = None
    deletion_cost: int = 0
    protected: bool = False
    """Whether node autoscalers are asked to leave its node alone."""
    started: bool = False
    """Whether its container has started up: it takes streams, or took some before it ceased to be ready."""
    restarts: int = 0
    """How often its container was started anew."""
    problem: str = ""
    """Why it is FAILING or not scheduled, in the cluster's words (for example "ImagePullBackOff: …")."""
    status: WorkerStatus | None = None


class GatewaySnapshot(_Frozen):
    """The gateway's own counts, summed over its pods; `None` where it could not be asked."""

    ready_replicas: int = 0
    scraped_unix_seconds: float | None = None
    held: int = 0
    queued: int = 0
    refused_total: int = 0
    problem: str = ""
    """Why a pod of it is not ready, in the cluster's words."""
    outdated: tuple[str, ...] = ()
    """Pods of an older template that the cluster does not replace by itself."""


class PoolSnapshot(_Frozen):
    """One pool: its Deployment's wish, its pods, its gateway."""

    name: str
    namespace: str
    generation: int = 1
    replicas: int = Field(default=0, ge=0)
    """`spec.replicas` of the worker Deployment (0 while it does not exist)."""
    deployment_exists: bool = True
    creation_problem: str = ""
    """Why the Deployment's pods cannot be made (a quota, a Pod Security level), in the cluster's words."""
    workers: tuple[WorkerSnapshot, ...] = ()
    gateway: GatewaySnapshot = GatewaySnapshot()
