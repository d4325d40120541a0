"""The workers of a snapshot by the part they play, and what is known of them.

A scrape older than `STALE_SECONDS` is as good as none: such a pod counts as busy, is never chosen to go, and its
sessions are reckoned twice: at the last number seen where that asks for more pods, as full where fewer would be asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from asrpool_operator.snapshot import PodPhase, PoolSnapshot, WorkerSnapshot, WorkerStatus

STALE_SECONDS = 5.0
DRAINING_COST = -1_000
EMPTY_COST = -2_000
"""Pod-deletion-costs: a ReplicaSet takes the lowest first, so an empty pod goes before one that still has streams."""
FIRST_SCRAPE_SECONDS = 5.0
"""A pod that became ready less than this ago may not have been asked yet: that is no lack of metrics."""


class Role(StrEnum):
    """What a worker pod is to the pool."""

    SERVING = "serving"
    DRAINING = "draining"
    COMING = "coming"
    FAILING = "failing"
    LEAVING = "leaving"


@dataclass(frozen=True)
class View:
    """One snapshot at `now`, with the questions that the rules ask of it."""

    snapshot: PoolSnapshot
    now: float

    def role(self, worker: WorkerSnapshot) -> Role:
        """Its part in the pool.

        A drain counts from the annotation or from the worker's own word, whichever is first. A draining pod that lost its
        container and with it its streams is one that is coming again.
        """
        if worker.phase is PodPhase.TERMINATING:
            return Role.LEAVING
        if worker.phase is PodPhase.FAILING:
            return Role.FAILING
        told = worker.draining_since_unix_seconds is not None
        drains = told or (worker.status is not None and worker.status.draining)
        if drains and (worker.phase is PodPhase.READY or self.busy(worker)):
            return Role.DRAINING
        return Role.SERVING if worker.phase is PodPhase.READY else Role.COMING

    @cached_property
    def _by_role(self) -> dict[Role, tuple[WorkerSnapshot, ...]]:
        return {role: tuple(worker for worker in self.snapshot.workers if self.role(worker) is role) for role in Role}

    @property
    def serving(self) -> tuple[WorkerSnapshot, ...]:
        """Ready pods that take newcomers."""
        return self._by_role[Role.SERVING]

    @property
    def draining(self) -> tuple[WorkerSnapshot, ...]:
        """Pods that take no newcomers and go when they are empty."""
        return self._by_role[Role.DRAINING]

    @property
    def coming(self) -> tuple[WorkerSnapshot, ...]:
        """Pods that are not ready yet, or not ready again yet."""
        return self._by_role[Role.COMING]

    @property
    def failing(self) -> tuple[WorkerSnapshot, ...]:
        """Pods that the cluster cannot start."""
        return self._by_role[Role.FAILING]

    @property
    def counted(self) -> int:
        """Pods that count towards the Deployment's replicas."""
        return len(self._standing)

    @property
    def uncreated(self) -> int:
        """Pods that the Deployment was asked for and that do not exist yet."""
        return max(0, self.snapshot.replicas - self.counted)

    @cached_property
    def _standing(self) -> tuple[WorkerSnapshot, ...]:
        return tuple(worker for worker in self.snapshot.workers if worker.phase is not PodPhase.TERMINATING)

    @cached_property
    def mixed(self) -> bool:
        """Whether pods of more than one template stand: a rollout, under way or stuck."""
        return len({worker.template_hash for worker in self._standing}) > 1

    @cached_property
    def rolling(self) -> bool:
        """Whether the Deployment is replacing pods by pods of another template, and gets on with it."""
        if not self.mixed:
            return False
        newest = max(self._standing, key=lambda worker: worker.created_unix_seconds).template_hash
        return not all(_hopeless(worker) for worker in self._standing if worker.template_hash == newest)

    @cached_property
    def failing_alone(self) -> int:
        """Pods that fail while others of their template run: their own node or luck is at fault, so another may do better."""
        running = {worker.template_hash for worker in self._standing if worker.phase is PodPhase.READY}
        return sum(worker.template_hash in running for worker in self.failing)

    @cached_property
    def being_removed(self) -> int:
        """Finished pods that `replicas` was lowered by already and that the ReplicaSet has not taken yet."""
        if self.mixed:
            return 0
        finished = sum(worker.deletion_cost <= EMPTY_COST for worker in self.draining)
        return min(max(0, self.counted - self.snapshot.replicas), finished)

    @cached_property
    def current(self) -> int:
        """Pods that are there, or asked for, to take newcomers: the wish that the Deployment's `replicas` stands for.

        Neither a rollout's surge pods nor those that make up for failing ones are counted, else holding the number of
        pods would raise it each time.
        """
        there = self.snapshot.replicas - len(self.draining) + self.being_removed
        if self.rolling:
            return max(0, there)
        serving = len(self.serving)
        asked = max(0, there - serving)
        alone = self.failing_alone
        wished = asked - alone if asked >= 2 * alone else math.ceil(asked / 2)
        return min(serving, self.snapshot.replicas) + wished

    @property
    def unready_busy(self) -> bool:
        """Whether a pod that is not ready may carry streams: a ReplicaSet would take it first."""
        return any(worker.phase is not PodPhase.READY and self.busy(worker) for worker in self._standing)

    def fresh(self, worker: WorkerSnapshot) -> WorkerStatus | None:
        """What the worker said of itself, if that is new enough to act on."""
        status = worker.status
        if status is None or self.now - status.scraped_unix_seconds > STALE_SECONDS:
            return None
        return status

    def unknown(self, worker: WorkerSnapshot) -> bool:
        """Whether the pod may carry streams that nobody can count: it is or was ready, and does not answer.

        An operator that has just started never saw it ready; that its container has started up says as much.
        """
        if self.fresh(worker) is not None:
            return False
        if worker.phase is PodPhase.READY:
            return True
        carried = worker.status is not None and worker.status.active + worker.status.held_ids > 0
        return worker.phase is PodPhase.STARTING and (
            carried or worker.started or worker.ready_unix_seconds is not None
        )

    def busy(self, worker: WorkerSnapshot) -> bool:
        """Whether the pod carries a stream, expects one back, or may do so."""
        status = self.fresh(worker)
        return self.unknown(worker) if status is None else status.active > 0 or status.held_ids > 0

    @property
    def all_unknown(self) -> bool:
        """Whether there are ready pods and none of them answers."""
        ready = [worker for worker in self._standing if worker.phase is PodPhase.READY]
        return bool(ready) and all(self.unknown(worker) for worker in ready)

    @cached_property
    def gateway_known(self) -> bool:
        """Whether the gateway's counts are new enough to act on."""
        scraped = self.snapshot.gateway.scraped_unix_seconds
        return scraped is not None and self.now - scraped <= STALE_SECONDS

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Names of the ready pods (and "gateway") whose numbers are missing or stale."""
        names = [
            worker.name
            for worker in self.snapshot.workers
            if worker.phase is PodPhase.READY
            and self.fresh(worker) is None
            and not (
                worker.status is None
                and worker.ready_unix_seconds is not None
                and self.now - worker.ready_unix_seconds < FIRST_SCRAPE_SECONDS
            )
        ]
        return tuple(names if self.gateway_known else [*names, "gateway"])


def _hopeless(worker: WorkerSnapshot) -> bool:
    """Whether waiting for this pod is no reason to hold on to others: a node that one of them frees may be what it needs."""
    no_node = worker.phase is PodPhase.UNSCHEDULED and worker.problem != ""
    return no_node or worker.phase is PodPhase.FAILING
