"""The conditions of a pool: what is so, in one word for machines and one sentence for people.

A condition's time changes only when its status does, so that "since when" can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asrpool_operator.api import ConditionStatus
from asrpool_operator.policy.decision import Decision
from asrpool_operator.policy.view import View
from asrpool_operator.snapshot import PodPhase, WorkerSnapshot

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
MOST_NAMES = 5


@dataclass(frozen=True)
class Finding:
    """One condition without its times."""

    type: str
    status: ConditionStatus
    reason: str
    message: str


def find_conditions(view: View, decision: Decision) -> tuple[Finding, ...]:
    """All conditions of a pool whose spec can be read."""
    return (
        _ready(view, decision),
        _progressing(view),
        _scaling_limited(decision),
        _metrics_available(view),
        _draining(view),
        _gateway_current(view),
        _fully_supported(decision),
    )


def dated(
    findings: Iterable[Finding], previous: Mapping[str, Any] | None, generation: int, now: float
) -> list[dict[str, Any]]:
    """`metav1.Condition`s, with the time kept from `previous` (a status as the API server has it) where nothing changed."""
    before = conditions_of(previous)
    return [
        {
            "type": finding.type,
            "status": finding.status.value,
            "reason": finding.reason,
            "message": finding.message,
            "observedGeneration": generation,
            "lastTransitionTime": (
                before[finding.type]["lastTransitionTime"]
                if before.get(finding.type, {}).get("status") == finding.status.value
                and before[finding.type].get("lastTransitionTime")
                else timestamp(now)
            ),
        }
        for finding in findings
    ]


def conditions_of(status: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The conditions of a raw status by their type; an odd status has none."""
    found = (status or {}).get("conditions")
    if not isinstance(found, list):
        return {}
    return {
        str(condition["type"]): condition for condition in found if isinstance(condition, dict) and "type" in condition
    }


def timestamp(unix_seconds: float) -> str:
    """As Kubernetes writes times: whole seconds, UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def problems(workers: Iterable[WorkerSnapshot]) -> str:
    """What is wrong with these pods, each problem once."""
    return "; ".join(dict.fromkeys(worker.problem for worker in workers if worker.problem))


def names(pods: Iterable[str]) -> str:
    """A list of pods that stays readable when it is long."""
    listed = list(pods)
    more = f" and {len(listed) - MOST_NAMES} more" if len(listed) > MOST_NAMES else ""
    return ", ".join(listed[:MOST_NAMES]) + more


def _ready(view: View, decision: Decision) -> Finding:
    if not view.snapshot.deployment_exists:
        return Finding("Ready", FALSE, "Creating", "the pool's objects are being made")
    if view.snapshot.gateway.ready_replicas == 0:
        problem = view.snapshot.gateway.problem
        if problem:
            return Finding(
                "Ready", FALSE, "GatewayFailing", f"no gateway pod is ready, so no stream can come in: {problem}"
            )
        return Finding("Ready", FALSE, "GatewayNotReady", "no gateway pod is ready, so no stream can come in")
    taking = len(view.serving)
    if taking:
        return Finding(
            "Ready", TRUE, "Serving", f"{taking} of {max(decision.desired_replicas, taking)} pods take streams"
        )
    if decision.desired_replicas == 0:
        return Finding(
            "Ready", TRUE, "ScaledToZero", "no stream is wanted; the gateway holds the next while a pod starts"
        )
    if view.failing:
        return Finding("Ready", FALSE, "PodsFailing", f"no pod takes streams: {problems(view.failing)}")
    if view.snapshot.creation_problem:
        return Finding(
            "Ready",
            FALSE,
            "PodsNotCreated",
            f"no pod takes streams, and none is made: {view.snapshot.creation_problem}",
        )
    unscheduled = _unscheduled(view)
    if unscheduled:
        return Finding("Ready", FALSE, "PodsUnscheduled", f"no pod takes streams: {problems(unscheduled)}")
    return Finding("Ready", FALSE, "PodsStarting", "no pod takes streams yet")


def _progressing(view: View) -> Finding:
    if view.failing:
        return Finding(
            "Progressing",
            FALSE,
            "PodsFailing",
            f"{len(view.failing)} of {view.counted} pods cannot run: {problems(view.failing)}",
        )
    if view.snapshot.creation_problem:
        return Finding(
            "Progressing",
            FALSE,
            "PodsNotCreated",
            f"pods that are asked for are not made: {view.snapshot.creation_problem}",
        )
    unscheduled = _unscheduled(view)
    if unscheduled:
        return Finding(
            "Progressing", TRUE, "PodsUnscheduled", f"{len(unscheduled)} pods wait for a node: {problems(unscheduled)}"
        )
    if view.rolling:
        return Finding("Progressing", TRUE, "RollingOut", "pods are being replaced by pods of the new template")
    coming = len(view.coming) + view.uncreated
    if coming:
        return Finding("Progressing", TRUE, "PodsStarting", f"{coming} pods are starting")
    return Finding("Progressing", FALSE, "AsDesired", "all pods that were asked for are there")


def _scaling_limited(decision: Decision) -> Finding:
    limited = decision.limited
    if not limited:
        return Finding("ScalingLimited", FALSE, "NotLimited", "the number of pods follows the demand")
    words = (
        ("minReplicas", "TooFewReplicas"),
        ("maxReplicas", "TooManyReplicas"),
        ("behavior.scaleUp", "ScaleUpLimit"),
        ("behavior.scaleDown", "ScaleDownLimit"),
        ("scal", "Paused"),
        ("a rollout", "RollingOut"),
    )
    reason = next((word for start, word in words if limited.startswith(start)), "Limited")
    return Finding("ScalingLimited", TRUE, reason, f"held at {decision.desired_replicas} pods: {limited}")


def _metrics_available(view: View) -> Finding:
    gateway = view.snapshot.gateway
    if gateway.scraped_unix_seconds is None and gateway.ready_replicas == 0 and view.missing == ("gateway",):
        return Finding("MetricsAvailable", UNKNOWN, "NotYet", "the gateway is not there yet to be asked")
    if view.missing:
        return Finding(
            "MetricsAvailable",
            FALSE,
            "Missing",
            f"no fresh numbers from {names(view.missing)}; such pods count as busy and none is taken away for them",
        )
    return Finding("MetricsAvailable", TRUE, "Fresh", "every ready pod answers")


def _draining(view: View) -> Finding:
    if not view.draining:
        return Finding("Draining", FALSE, "NoneDraining", "every ready pod takes newcomers")
    return Finding(
        "Draining",
        TRUE,
        "PodsDraining",
        f"these take no newcomers and go when they are empty: {names(worker.name for worker in view.draining)}",
    )


def _gateway_current(view: View) -> Finding:
    """Whether the gateway runs what the spec asks for: a single one is never replaced under its streams."""
    outdated = view.snapshot.gateway.outdated
    if not outdated:
        return Finding("GatewayCurrent", TRUE, "UpToDate", "the gateway pods are of the newest template")
    return Finding(
        "GatewayCurrent",
        FALSE,
        "OutOfDate",
        f"{names(outdated)} carries all streams and is therefore not replaced by itself: delete the pod when its "
        "streams may end, or set spec.gateway.replicas to 2 or more for replacements one by one",
    )


def _fully_supported(decision: Decision) -> Finding:
    if not decision.not_acted_on:
        return Finding("FullySupported", TRUE, "AllActedOn", "every field that is set has its effect")
    return Finding(
        "FullySupported",
        FALSE,
        "NotActedOn",
        f"accepted, but this version does not act on: {', '.join(decision.not_acted_on)}",
    )


def _unscheduled(view: View) -> list[WorkerSnapshot]:
    """Pods that no node could take, by the scheduler's word; one that only waits its turn has no problem."""
    return [worker for worker in view.coming if worker.phase is PodPhase.UNSCHEDULED and worker.problem]
