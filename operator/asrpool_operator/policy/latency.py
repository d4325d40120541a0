"""Latency sets capacity, never the number of pods directly.

A pod whose percentile passes the target is hot: it takes no newcomers until it is well back under it (hysteresis). What
it carried when it became hot is more than a pod can hold, so the pool's sessions per pod are lowered below that, and
learnt again upwards, step by step, while pods that are about full stay cool. Live sessions do not change by this,
so a latency that stays high cannot compound.
"""

from __future__ import annotations

from dataclasses import dataclass

from asrpool_operator.api import ASRPoolSpec, Latency, LatencyOf
from asrpool_operator.policy.decision import Memory
from asrpool_operator.policy.view import View
from asrpool_operator.snapshot import WorkerStatus

COOL_SHARE = 0.8
"""A hot pod is back when its percentile is under this share of the target."""
RELEARN_SHARE = 0.7
"""Only a pod under this share of the target is a sign that pods could hold more."""
LEAST_SAMPLES = 8
"""Fewer make no percentile."""
LOWER_TO = 0.9
RAISE_BY = 0.05
"""Share of the configured capacity that one step upwards adds."""
FULL_SHARE = 0.75
"""A pod at this share of the learnt capacity shows what such a load does."""
RELEARN_WINDOWS = 10
"""Windows between two steps upwards: each may go too far, and then pods are hot for about a window."""
PROBE_SECONDS = 600.0
"""After so long without a hot pod the capacity is tried upwards even if no pod is that full."""


@dataclass(frozen=True)
class LatencyVerdict:
    """Hot pods and what a pod is reckoned to hold."""

    hot: tuple[str, ...]
    sessions_per_pod: float
    worst_ms: float | None
    learnt: float | None
    learnt_unix_seconds: float | None


def judge_latency(spec: ASRPoolSpec, view: View, memory: Memory) -> LatencyVerdict:
    """Which pods are hot, and the sessions per pod that follow."""
    configured = float(spec.sessions.capacity)
    latency = spec.scaling.latency
    if latency is None:
        return LatencyVerdict((), configured, None, None, None)
    measured = {
        worker.name: (status, _milliseconds(status, latency))
        for worker in (*view.serving, *view.draining)
        if (status := view.fresh(worker)) is not None
    }
    serving = {worker.name for worker in view.serving}
    hot = tuple(
        name
        for name in sorted(serving)
        if _is_hot(measured.get(name, (None, None))[1], name in memory.hot_pods, name in measured, latency)
    )
    values = [value for _, value in measured.values() if value is not None]
    worst = max(values, default=None)
    learnt = min(memory.learnt_sessions_per_pod or configured, configured)
    since = memory.learnt_unix_seconds
    bearable = _bearable(hot, measured, memory)
    if bearable is not None and bearable < learnt:
        learnt, since = bearable, view.now
    elif learnt < configured and not hot and _may_try_more(measured, learnt, latency, since, view.now):
        learnt, since = min(configured, learnt + max(0.5, RAISE_BY * configured)), view.now
    if learnt >= configured:
        return LatencyVerdict(hot, configured, worst, None, None)
    return LatencyVerdict(hot, learnt, worst, learnt, since)


def admitted_sessions(view: View, verdict: LatencyVerdict) -> dict[str, int]:
    """What each serving pod may admit, where it now admits another number: none on a hot pod, else what was learnt."""
    changed: dict[str, int] = {}
    for worker in view.serving:
        status = view.fresh(worker)
        if status is None:
            continue
        learnt = status.configured_capacity if verdict.learnt is None else max(1, int(verdict.learnt))
        admitted = 0 if worker.name in verdict.hot else min(learnt, status.configured_capacity)
        if admitted != status.capacity:
            changed[worker.name] = admitted
    return changed


def _milliseconds(status: WorkerStatus, latency: Latency) -> float | None:
    partial = latency.of is LatencyOf.PARTIAL
    samples = status.partial_samples if partial else status.final_samples
    if (status.latency_samples if samples is None else samples) < LEAST_SAMPLES:
        return None
    return status.partial_ms if partial else status.final_ms


def _is_hot(milliseconds: float | None, was_hot: bool, answered: bool, latency: Latency) -> bool:
    """Unanswered: as it was. Answered without enough samples: nothing is slow, since next to nothing is done."""
    if not answered:
        return was_hot
    if milliseconds is None:
        return False
    return milliseconds > latency.milliseconds * (COOL_SHARE if was_hot else 1.0)


def _bearable(
    hot: tuple[str, ...], measured: dict[str, tuple[WorkerStatus, float | None]], memory: Memory
) -> float | None:
    """Sessions that a pod can bear, from pods that have just become hot.

    Only then does the number of sessions belong to the latency: later they end while the percentile still looks back.
    """
    carried = [
        measured[name][0].active
        for name in hot
        if name in measured and name not in memory.hot_pods and measured[name][0].active > 0
    ]
    return max(1.0, LOWER_TO * min(carried)) if carried else None


def _may_try_more(
    measured: dict[str, tuple[WorkerStatus, float | None]],
    learnt: float,
    latency: Latency,
    since: float | None,
    now: float,
) -> bool:
    """Whether it is time for a step upwards: pods that are about full stay cool, or nothing was hot for long."""
    if since is None or now - since < RELEARN_WINDOWS * latency.window_seconds:
        return False
    full_and_cool = any(
        value is not None and value < RELEARN_SHARE * latency.milliseconds and status.active >= FULL_SHARE * learnt
        for status, value in measured.values()
    )
    return full_and_cool or now - since >= PROBE_SECONDS
