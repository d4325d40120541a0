"""One pool, one tick: observe → decide → keep the objects → act → report.

Every tick starts from what is, not from what the last one meant to do: that is what makes it safe to die anywhere.
What is remembered (`Memory`, the last good answers, what was applied) makes decisions better and calls fewer; losing
all of it with the process costs some seconds of precision and never a stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from asrpool_operator.api import parse
from asrpool_operator.cluster.fence import FencedCluster
from asrpool_operator.cluster.protocol import Manifest, PoolView
from asrpool_operator.errors import ClusterUnavailableError, ForbiddenError, RejectedError, SpecError
from asrpool_operator.metrics import Metrics
from asrpool_operator.plan import plan
from asrpool_operator.policy.decide import decide
from asrpool_operator.policy.decision import Decision, Memory
from asrpool_operator.reconcile.act import Actor
from asrpool_operator.reconcile.objects import ObjectKeeper, Wanted
from asrpool_operator.reconcile.observe import Observation, Observer
from asrpool_operator.reconcile.report import Reporter, refusal, with_refusals
from asrpool_operator.render import Defaults, render
from asrpool_operator.scrape.client import AdminPorts
from asrpool_operator.snapshot import PodPhase, PoolSnapshot
from asrpool_operator.status import report, report_invalid


@dataclass(frozen=True, slots=True)
class Parts:
    """What the ticks of all pools share."""

    cluster: FencedCluster
    view: PoolView
    ports: AdminPorts
    defaults: Defaults
    metrics: Metrics
    identity: str
    clock: Callable[[], float] = time.time


class PoolReconciler:
    """See `supervisor.Ticker`. One instance lives as long as this replica leads and the pool exists."""

    def __init__(self, body: Manifest, parts: Parts) -> None:
        self._parts = parts
        self._memory = Memory()
        self._observer = Observer(parts.view, parts.ports)
        self._objects = ObjectKeeper(parts.cluster, parts.view)
        self._actor = Actor(parts.cluster, parts.ports, self._observer)
        self._reporter = Reporter(parts.cluster, parts.identity, body)
        self._has_been_live = False
        self._wanted: Wanted | None = None
        self.snapshot: PoolSnapshot | None = None

    async def tick(self, body: Manifest) -> None:
        """Raises `PoolGoneError`, `NotLeaderError`, `SpecError` or a `ClusterError`."""
        now = self._parts.clock()
        wanted = await self._read(body, now)
        try:
            await self._tick(wanted, body, now)
        except (RejectedError, ForbiddenError) as error:
            # Without the token, or the right to look at the pool, nothing can go on: its owner has to hear of it.
            said = refusal(str(error), self._reporter.previous, wanted.pool.metadata.generation, now)
            await self._reporter.report(body, said, now)
            raise

    async def _tick(self, wanted: Wanted, body: Manifest, now: float) -> None:
        pool = wanted.pool
        self._has_been_live = self._has_been_live or self._parts.view.live
        if not self._has_been_live:
            # Deciding on a view that never listed would take "no pods" for a fact.
            raise ClusterUnavailableError("the watches of the API server have not listed yet")
        token = await self._objects.token(pool)
        observation = await self._observer.observe(pool, token, now)
        self.snapshot = observation.snapshot
        decision = decide(pool.spec, observation.snapshot, self._memory, now)
        self._memory = decision.memory
        self._measure(observation, decision)
        if not self._parts.view.live:
            raise ClusterUnavailableError("the API server does not answer; gateway and workers go on without it")
        refused = await self._objects.keep(wanted, decision.replicas, now)
        refused += await self._actor.do(plan(observation.snapshot, decision), observation.snapshot, token)
        previous = self._reporter.previous
        said = report(pool.spec, observation.snapshot, decision, previous, now)
        said = with_refusals(said, refused, previous, pool.metadata.generation, now)
        await self._reporter.report(body, said, now)

    async def _read(self, body: Manifest, now: float) -> Wanted:
        generation = int(body["metadata"].get("generation", 0))
        if self._wanted is not None and self._wanted.pool.metadata.generation == generation:
            return self._wanted  # reading and rendering anew each second would be most of a quiet pool's cost
        try:
            pool = parse(body)
            self._wanted = Wanted.of(pool, render(pool, self._parts.defaults))
        except SpecError as error:
            # The CRD refuses what cannot work; this one was stored under an older CRD. Its pods stay as they are.
            said = report_invalid(str(error), self._reporter.previous, generation, now)
            await self._reporter.report(body, said, now)
            raise
        return self._wanted

    def _measure(self, observation: Observation, decision: Decision) -> None:
        snapshot, metrics = observation.snapshot, self._parts.metrics
        labels = (snapshot.namespace, snapshot.name)
        counts = {
            "desired": decision.desired_replicas,
            "set": decision.replicas,
            "ready": sum(worker.phase is PodPhase.READY for worker in snapshot.workers),
            "draining": sum(worker.draining_since_unix_seconds is not None for worker in snapshot.workers),
        }
        for state, count in counts.items():
            metrics.replicas.labels(*labels, state).set(count)
        metrics.sessions.labels(*labels).set(decision.sessions)
        metrics.queued.labels(*labels).set(decision.queued)
        metrics.scrape_failures.labels(*labels).inc(observation.failed_scrapes)
        if decision.replicas != snapshot.replicas or decision.drain or decision.undrain:
            metrics.decisions.labels(*labels, decision.rule).inc()
