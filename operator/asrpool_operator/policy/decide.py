"""`decide()`: what to do with a pool now, from what was seen of it. Pure: no clock, no I/O, no logging.

First the wish, rule by rule: how many pods shall take newcomers. Then the pods: which of them drain, which take
newcomers again, which go, and what the Deployment's `replicas` is set to. The second step can never end a stream:
`replicas` is lowered only by pods that are finished, or by pods that never carried one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from asrpool_operator.api import ASRPoolSpec, Scaling
from asrpool_operator.policy.behavior import (
    rate_limited,
    remember_change,
    remember_recommendation,
    stabilized,
    tolerated,
)
from asrpool_operator.policy.cold_start import horizon_seconds, remember_cold_starts
from asrpool_operator.policy.decision import Decision, Memory, RuleOutcome
from asrpool_operator.policy.demand import Demand, last_active, measure_demand, pods_for, remember_demand
from asrpool_operator.policy.expectation import chance_sessions, growth_sessions
from asrpool_operator.policy.latency import LatencyVerdict, admitted_sessions, judge_latency
from asrpool_operator.policy.lengths import ENOUGH_ENDED, Lengths, observe_lengths
from asrpool_operator.policy.limits import held_in, idle_since, remember_busy, to_zero, within_bounds
from asrpool_operator.policy.not_acted_on import fields_not_acted_on
from asrpool_operator.policy.pods import choose_pods
from asrpool_operator.policy.removal import wanted_costs
from asrpool_operator.policy.view import View
from asrpool_operator.policy.windows import windowed_demand
from asrpool_operator.snapshot import PoolSnapshot


@dataclass
class _Trail:
    """The wish on its way through the rules, and what each of them said."""

    wish: int
    outcomes: list[RuleOutcome] = field(default_factory=list)

    def apply(self, rule: str, after: int, sentence: str) -> None:
        self.outcomes.append(RuleOutcome(rule=rule, before=self.wish, after=after, sentence=sentence))
        self.wish = after

    def limit(self, rule: str, after: int, sentence: str) -> bool:
        """A rule that only ever holds back; says so where it does. Returns whether it did."""
        held = after != self.wish
        self.apply(rule, after, sentence if held else "does not hold it back")
        return held

    def deciding(self) -> RuleOutcome:
        """The last rule that changed the wish; where none did, the first: demand."""
        return next(
            (outcome for outcome in reversed(self.outcomes) if outcome.after != outcome.before), self.outcomes[0]
        )


@dataclass(frozen=True)
class _Expected:
    """What the demand is expected to become over the cold start, and what that was reckoned from."""

    horizon_seconds: float
    chance: float
    growth: float
    buffer: float

    @property
    def sessions(self) -> float:
        return self.chance + self.growth + self.buffer


def decide(spec: ASRPoolSpec, snapshot: PoolSnapshot, memory: Memory, now: float) -> Decision:
    """Decide for one pool at `now` (unix seconds); hand the returned memory back with the next snapshot."""
    view = View(snapshot, now)
    scaling = spec.scaling
    demand = measure_demand(view, spec.sessions.capacity, scaling.drain_seconds)
    lengths = observe_lengths(snapshot.workers, memory.mean_session_seconds)
    verdict = judge_latency(spec, view, memory)
    memory = _remember(memory, snapshot, demand, lengths, verdict, now)
    expected = _expect(scaling, demand, lengths, memory, now)

    trail = _Trail(view.current)
    _ask(trail, scaling, view, demand, expected, verdict, memory)
    memory = remember_recommendation(memory, view.current, trail.wish, now)
    limited = _limit(trail, scaling, view, demand, memory)

    pods = choose_pods(spec, view, lengths, trail.wish)
    memory = remember_change(memory, trail.wish - view.current, now)
    deciding = trail.deciding()
    return Decision(
        unix_seconds=now,
        desired_replicas=trail.wish,
        replicas=pods.replicas,
        rule=deciding.rule,
        reason=deciding.sentence,
        rules=(*trail.outcomes, *pods.outcomes),
        drain=pods.drain,
        undrain=pods.undrain,
        remove=pods.remove,
        deletion_costs=wanted_costs(view, pods.draining, scaling.drain_seconds),
        capacities=admitted_sessions(view, verdict),
        sessions=demand.live,
        queued=demand.waiting,
        sessions_per_pod=verdict.sessions_per_pod,
        metrics_available=not view.missing,
        limited=limited,
        not_acted_on=fields_not_acted_on(spec),
        inputs={
            "live": demand.live,
            "waiting": demand.waiting,
            "unknown_room": demand.unknown_room,
            "mean_session_seconds": round(lengths.mean_seconds, 1),
            "cold_start_seconds": round(expected.horizon_seconds, 1),
            "chance": round(expected.chance, 2),
            "growth": round(expected.growth, 2),
            "buffer": round(expected.buffer, 2),
            "sessions_per_pod": verdict.sessions_per_pod,
            "hot_pods": len(verdict.hot),
            "current": view.current,
            "serving": len(view.serving),
            "draining": len(view.draining),
            "coming": len(view.coming) + view.uncreated,
            "failing": len(view.failing),
            **({"worst_latency_ms": verdict.worst_ms} if verdict.worst_ms is not None else {}),
        },
        memory=memory,
    )


def _remember(
    memory: Memory, snapshot: PoolSnapshot, demand: Demand, lengths: Lengths, verdict: LatencyVerdict, now: float
) -> Memory:
    memory = remember_cold_starts(snapshot, memory, now)
    memory = remember_demand(memory, demand.known, now)
    memory = remember_busy(memory, demand.known, now)
    return memory.model_copy(
        update={
            "learnt_sessions_per_pod": verdict.learnt,
            "learnt_unix_seconds": verdict.learnt_unix_seconds,
            "hot_pods": verdict.hot,
            "mean_session_seconds": (
                lengths.mean_seconds if lengths.ended >= ENOUGH_ENDED else memory.mean_session_seconds
            ),
        }
    )


def _expect(scaling: Scaling, demand: Demand, lengths: Lengths, memory: Memory, now: float) -> _Expected:
    horizon = horizon_seconds(memory, scaling.windows.cold_start_seconds)
    mean = lengths.mean_seconds
    buffer = scaling.buffer
    return _Expected(
        horizon_seconds=horizon,
        chance=chance_sessions(demand.known, horizon, mean),
        growth=growth_sessions(memory.demand, demand.known, now, horizon, mean),
        buffer=demand.known * float(buffer.rstrip("%")) / 100 if isinstance(buffer, str) else float(buffer),
    )


def _ask(
    trail: _Trail,
    scaling: Scaling,
    view: View,
    demand: Demand,
    expected: _Expected,
    verdict: LatencyVerdict,
    memory: Memory,
) -> None:
    """The rules that ask for pods: demand, windows, expectation, latency, and what is not known."""
    per_pod, share = verdict.sessions_per_pod, scaling.target_utilization
    held_by_one = per_pod * share
    trail.apply(
        "demand",
        pods_for(demand.known, per_pod, share),
        f"{demand.live} live and {demand.waiting} waiting sessions at {held_by_one:g} a pod",
    )
    windowed = windowed_demand(
        scaling.windows, memory.demand, demand.known, demand.waiting, view.current * held_by_one, view.now
    )
    if scaling.windows.stable_seconds is not None:
        trail.apply(
            "windows",
            pods_for(windowed.sessions, per_pod, share),
            f"{windowed.sessions:.1f} sessions over the {'panic' if windowed.panic else 'stable'} window",
        )
    wanted = windowed.sessions + expected.sessions
    trail.apply(
        "expectation",
        pods_for(wanted, per_pod, share),
        f"{windowed.sessions:g} sessions, and {expected.chance:.1f} more by chance, {expected.growth:.1f} by growth, "
        f"{expected.buffer:g} as buffer before a new pod can help ({expected.horizon_seconds:.0f} s)",
    )
    if verdict.hot:
        on_hot = sum(last_active(worker) for worker in view.serving if worker.name in verdict.hot)
        around = len(verdict.hot) + pods_for(max(0.0, wanted - on_hot), per_pod, share)
        trail.apply(
            "latency",
            max(trail.wish, around),
            f"{len(verdict.hot)} pods pass the latency target and take no newcomers; "
            f"{per_pod:g} sessions a pod are reckoned with",
        )
    _do_not_guess(trail, scaling, view, demand, wanted, verdict)


def _do_not_guess(
    trail: _Trail, scaling: Scaling, view: View, demand: Demand, wanted: float, verdict: LatencyVerdict
) -> None:
    """Missing or stale numbers never take a pod away: what is unknown counts as full, and the gateway as waiting."""
    if trail.wish >= view.current:
        return
    if not view.gateway_known:
        trail.apply("missing data", view.current, "the gateway's counts are missing: no pod is taken away")
        return
    if view.all_unknown:
        trail.apply("missing data", view.current, "no pod answers: none is taken away")
        return
    if demand.unknown_room:
        cautious = pods_for(wanted + demand.unknown_room, verdict.sessions_per_pod, scaling.target_utilization)
        trail.apply(
            "missing data",
            max(trail.wish, min(view.current, cautious)),
            f"pods that do not answer may hold {demand.unknown_room} more sessions",
        )


def _limit(trail: _Trail, scaling: Scaling, view: View, demand: Demand, memory: Memory) -> str:
    """The rules that hold the wish back; returns what kept it from being followed whole."""
    current, now, behavior = view.current, view.now, scaling.behavior
    limited, unlimited = "", trail.wish

    trail.limit(
        "stabilization",
        stabilized(behavior, memory, current, trail.wish, now),
        "an earlier wish still holds within behavior's stabilization window",
    )
    trail.limit("tolerance", tolerated(behavior, current, trail.wish), "the difference is below behavior's tolerance")
    if trail.limit(
        "behavior",
        rate_limited(behavior, memory, current, trail.wish, now),
        "no faster than behavior's policies allow",
    ):
        limited = "behavior.scaleUp" if unlimited > current else "behavior.scaleDown"

    idle_seconds = now - idle_since(view, memory, horizon_seconds(memory, scaling.windows.cold_start_seconds))
    zero = to_zero(scaling, demand.known, current, trail.wish, idle_seconds)
    trail.apply("scale to zero", zero.replicas, zero.sentence)

    bounds = within_bounds(scaling, trail.wish)
    if bounds.replicas != trail.wish:
        limited = bounds.sentence
    trail.apply("bounds", bounds.replicas, bounds.sentence)

    held = held_in(scaling, current, len(view.draining), trail.wish, rolling=view.rolling)
    if held.replicas != trail.wish:
        limited = held.sentence
    trail.apply("hold", held.replicas, held.sentence)
    return limited
