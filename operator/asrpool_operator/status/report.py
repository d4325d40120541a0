"""The status of a pool, and the Events that go with it. Pure; written once a tick by the caller, if it changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asrpool_operator.api import ASRPoolSpec, ConditionStatus
from asrpool_operator.policy.decision import Decision
from asrpool_operator.policy.view import View
from asrpool_operator.snapshot import PodPhase, PoolSnapshot
from asrpool_operator.status.conditions import Finding, dated, find_conditions, timestamp
from asrpool_operator.status.events import Event, decision_events, transition_events


@dataclass(frozen=True)
class Report:
    """What is written to `.status` (camelCase, as the API server takes it), and Events to be sent after that."""

    status: dict[str, Any]
    events: tuple[Event, ...]


def report(
    spec: ASRPoolSpec, snapshot: PoolSnapshot, decision: Decision, previous: Mapping[str, Any] | None, now: float
) -> Report:
    """The status that follows from what was seen and decided; `previous` is the raw status as it stands."""
    view = View(snapshot, decision.unix_seconds)
    findings = find_conditions(view, decision)
    status: dict[str, Any] = {
        "observedGeneration": snapshot.generation,
        "replicas": view.counted,
        "readyReplicas": sum(worker.phase is PodPhase.READY for worker in snapshot.workers),
        "drainingReplicas": len(view.draining),
        "desiredReplicas": decision.desired_replicas,
        "sessions": decision.sessions,
        "queued": decision.queued,
        "sessionsPerPod": round(decision.sessions_per_pod, 1),
        "selector": f"asrpool.dev/pool={snapshot.name},app.kubernetes.io/component=worker",
        "conditions": dated(findings, previous, snapshot.generation, now),
    }
    if "worst_latency_ms" in decision.inputs:
        status["latencyMilliseconds"] = round(decision.inputs["worst_latency_ms"], 1)
    last = _last_decision(snapshot, decision, previous)
    if last is not None:
        status["lastDecision"] = last
    budget = spec.scaling.budget
    if budget is not None:
        per_hour = round(len(snapshot.workers) * budget.price_per_replica_hour, 4)
        status["cost"] = {"perHour": per_hour, "currency": budget.currency}
    return Report(status, (*decision_events(snapshot, decision), *transition_events(findings, previous)))


def report_invalid(sentence: str, previous: Mapping[str, Any] | None, generation: int, now: float) -> Report:
    """The status of a pool whose spec cannot be read: its pods are left as they are, and everything else is kept."""
    findings = (
        Finding(
            "Ready",
            ConditionStatus.FALSE,
            "InvalidSpec",
            f"{sentence}; the pool's pods are left as they are until then",
        ),
    )
    kept = {
        condition["type"]: condition
        for condition in ((previous or {}).get("conditions") or [])
        if isinstance(condition, dict) and condition.get("type") not in {None, "Ready"}
    }
    status = {
        **(previous or {}),
        "observedGeneration": generation,
        "conditions": [*dated(findings, previous, generation, now), *kept.values()],
    }
    return Report(status, transition_events(findings, previous))


def _last_decision(
    snapshot: PoolSnapshot, decision: Decision, previous: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if snapshot.deployment_exists and decision.replicas != snapshot.replicas:
        return {
            "from": snapshot.replicas,
            "to": decision.replicas,
            "rule": decision.rule,
            "reason": decision.reason,
            "time": timestamp(decision.unix_seconds),
            "inputs": dict(decision.inputs),
        }
    kept = (previous or {}).get("lastDecision")
    return dict(kept) if isinstance(kept, Mapping) else None
