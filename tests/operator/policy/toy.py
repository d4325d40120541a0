"""A pool in memory, one second a step: pods that take their time, sessions that stay where they are, and a ReplicaSet
that takes pods away in the real one's order. `decide()` and `plan()` are the real ones.

Decisions are made on what was seen at the beginning of a second and carried out at its end, after the second's
newcomers: so each drain and each removal races with arrivals, as it does in a cluster.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from asrpool_operator.api import ASRPoolSpec, Balance
from asrpool_operator.plan import Annotate, Drain, Scale, SetCapacity, Undrain, plan
from asrpool_operator.policy import Decision, Memory, decide
from asrpool_operator.snapshot import GatewaySnapshot, PodPhase, PoolSnapshot, WorkerSnapshot, WorkerStatus


@dataclass
class Session:
    length_seconds: float
    arrived: float
    started: float | None = None

    @property
    def ends(self) -> float:
        return (self.arrived if self.started is None else self.started) + self.length_seconds


@dataclass
class Pod:
    name: str
    created: float
    ready_at: float
    capacity: int
    sessions: list[Session] = field(default_factory=list)
    admits: int = 0
    draining: bool = False
    draining_since: float | None = None
    deletion_cost: int = 0
    protected: bool = False
    terminating_since: float | None = None
    ended: tuple[int, float, float] = (0, 0.0, 0.0)
    ended_at: list[float] = field(default_factory=list)

    def phase(self, now: float) -> PodPhase:
        if self.terminating_since is not None:
            return PodPhase.TERMINATING
        return PodPhase.READY if now >= self.ready_at else PodPhase.STARTING


@dataclass
class ToyPool:
    spec: ASRPoolSpec
    start_seconds: float = 5.0
    latency_ms: Callable[[int], float] = lambda _sessions: 100.0
    """How slow a pod is with so many sessions."""
    now: float = 1_000_000.0
    replicas: int = 0
    pods: list[Pod] = field(default_factory=list)
    waiting: list[Session] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    served: int = 0
    refused: int = 0
    cut: int = 0
    busy_taken: list[str] = field(default_factory=list)
    """Pods that the ReplicaSet took away while they had streams: never, but past drainSeconds."""
    pod_seconds: float = 0.0
    changes: int = 0
    undrained: int = 0
    decisions: list[Decision] = field(default_factory=list)
    blind: bool = False
    """Whether the scrapes fail: the operator sees stale numbers."""
    _names: itertools.count[int] = field(default_factory=itertools.count)
    _last_seen: dict[str, WorkerStatus] = field(default_factory=dict)
    _last_gateway: GatewaySnapshot = field(default_factory=GatewaySnapshot)

    def run(self, seconds: int, arrivals: dict[int, list[float]] | None = None) -> None:
        """Let time pass; `arrivals`: second from now → lengths of the sessions that come then."""
        for second in range(seconds):
            self.step((arrivals or {}).get(second, []))

    def step(self, lengths: list[float]) -> Decision:
        decision = decide(self.spec, self.snapshot(), self.memory, self.now)
        actions = plan(self.snapshot(), decision)
        self.memory = decision.memory
        self.decisions.append(decision)
        self._end_sessions()
        self.waiting += [Session(length, self.now) for length in lengths]
        self._place()
        self._act(actions)
        self._replica_set()
        self.pod_seconds += len(self.pods)
        self.now += 1.0
        return decision

    def live(self) -> int:
        return sum(len(pod.sessions) for pod in self.pods)

    def standing(self) -> list[Pod]:
        return [pod for pod in self.pods if pod.terminating_since is None]

    def snapshot(self) -> PoolSnapshot:
        workers = []
        for pod in self.pods:
            phase = pod.phase(self.now)
            if phase is not PodPhase.STARTING and not self.blind:
                self._last_seen[pod.name] = self._status(pod)
            workers.append(
                WorkerSnapshot(
                    name=pod.name,
                    phase=phase,
                    created_unix_seconds=pod.created,
                    ready_unix_seconds=pod.ready_at if phase is PodPhase.READY else None,
                    draining_since_unix_seconds=pod.draining_since,
                    deletion_cost=pod.deletion_cost,
                    protected=pod.protected,
                    status=self._last_seen.get(pod.name),
                )
            )
        if not self.blind:
            self._last_gateway = GatewaySnapshot(
                ready_replicas=1, scraped_unix_seconds=self.now, held=len(self.waiting)
            )
        return PoolSnapshot(
            name="toy", namespace="test", replicas=self.replicas, workers=tuple(workers), gateway=self._last_gateway
        )

    def _status(self, pod: Pod) -> WorkerStatus:
        ended, seconds, squares = pod.ended
        return WorkerStatus(
            scraped_unix_seconds=self.now,
            active=len(pod.sessions),
            capacity=pod.admits,
            configured_capacity=pod.capacity,
            draining=pod.draining,
            ages_seconds=tuple(self.now - (session.started or self.now) for session in pod.sessions),
            held_ids=sum(self.now - when < self.spec.sessions.resume_seconds for when in pod.ended_at[-100:]),
            partial_ms=self.latency_ms(len(pod.sessions)),
            latency_samples=10 * len(pod.sessions),
            ended_count=ended,
            ended_seconds_sum=seconds,
            ended_seconds_sq_sum=squares,
        )

    def _end_sessions(self) -> None:
        for pod in self.pods:
            for session in [session for session in pod.sessions if session.ends <= self.now]:
                pod.sessions.remove(session)
                count, seconds, squares = pod.ended
                pod.ended_at.append(self.now)
                pod.ended = (count + 1, seconds + session.length_seconds, squares + session.length_seconds**2)
                self.served += 1
        grace = self.spec.scaling.drain_seconds
        for pod in [pod for pod in self.pods if pod.terminating_since is not None]:
            if pod.terminating_since is not None and self.now - pod.terminating_since >= grace:
                self.cut += len(pod.sessions)
                pod.sessions.clear()
            if not pod.sessions:
                self.pods.remove(pod)

    def _place(self) -> None:
        pack = self.spec.gateway.balance is Balance.PACK
        for session in list(self.waiting):
            room = [
                pod
                for pod in self.pods
                if pod.phase(self.now) is PodPhase.READY and not pod.draining and len(pod.sessions) < pod.admits
            ]
            if room:
                chosen = min(room, key=lambda pod: (-len(pod.sessions) if pack else len(pod.sessions), pod.name))
                session.started = self.now
                chosen.sessions.append(session)
                self.waiting.remove(session)
            elif self.now - session.arrived >= self.spec.gateway.queue_seconds:
                self.waiting.remove(session)
                self.refused += 1

    def _act(self, actions: tuple[object, ...]) -> None:
        pods = {pod.name: pod for pod in self.standing()}
        for action in actions:
            match action:
                case Scale(_, replicas):
                    self.replicas = replicas
                    self.changes += 1
                case Annotate(name, cost, since, protected) if name in pods:
                    pods[name].deletion_cost, pods[name].draining_since, pods[name].protected = cost, since, protected
                case Drain(name) if name in pods:
                    pods[name].draining = True
                case Undrain(name) if name in pods:
                    pods[name].draining = False
                    self.undrained += 1
                case SetCapacity(name, sessions) if name in pods:
                    pods[name].admits = sessions

    def _replica_set(self) -> None:
        standing = self.standing()
        for _ in range(self.replicas - len(standing)):
            name = f"pod-{next(self._names):04d}"
            capacity = self.spec.sessions.capacity
            self.pods.append(Pod(name, self.now, self.now + self.start_seconds, capacity, admits=capacity))
        order = sorted(
            standing, key=lambda pod: (pod.phase(self.now) is PodPhase.READY, pod.deletion_cost, -pod.ready_at)
        )
        for pod in order[: max(0, len(standing) - self.replicas)]:
            if pod.sessions:
                self.busy_taken.append(pod.name)
            pod.terminating_since = self.now
