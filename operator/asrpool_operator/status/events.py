"""Kubernetes Events: said once, when something changes, never for a state that goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from asrpool_operator.policy.decision import Decision
from asrpool_operator.snapshot import PoolSnapshot
from asrpool_operator.status.conditions import Finding, conditions_of, names

NORMAL = "Normal"
WARNING = "Warning"
SILENT = "Silent"


@dataclass(frozen=True)
class Event:
    """One Event about the pool."""

    type: str
    reason: str
    message: str


_KINDS: dict[tuple[str, str, str], str] = {
    ("Ready", "True", "Serving"): NORMAL,
    ("Ready", "False", "GatewayNotReady"): WARNING,
    ("Ready", "False", "GatewayFailing"): WARNING,
    ("Ready", "False", "PodsFailing"): WARNING,
    ("Ready", "False", "PodsNotCreated"): WARNING,
    ("Ready", "False", "InvalidSpec"): WARNING,
    ("Progressing", "False", "PodsFailing"): WARNING,
    ("Progressing", "False", "PodsNotCreated"): WARNING,
    ("Progressing", "True", "PodsUnscheduled"): WARNING,
    ("ScalingLimited", "True", "TooManyReplicas"): WARNING,
    ("ScalingLimited", "True", "ScaleUpLimit"): NORMAL,
    ("ScalingLimited", "True", "Paused"): NORMAL,
    ("MetricsAvailable", "False", "Missing"): WARNING,
    ("GatewayCurrent", "False", "OutOfDate"): WARNING,
    ("FullySupported", "False", "NotActedOn"): WARNING,
}
"""Which (condition, status, reason) is worth an Event when it is entered."""
_NAMES = {
    "Missing": "MetricsMissing",
    "TooManyReplicas": "ScalingLimited",
    "ScaleUpLimit": "ScalingLimited",
    "OutOfDate": "GatewayOutOfDate",
}
_WORTH_AT_THE_START = frozenset(
    {"PodsFailing", "PodsNotCreated", "GatewayFailing", "NotActedOn", "InvalidSpec", "PodsUnscheduled"}
)
"""Of a new pool only these are said: that nothing is ready yet goes without saying."""
_LOSSES = frozenset({"GatewayNotReady", "Missing"})
"""Said only of what was there before."""


def transition_events(findings: Iterable[Finding], previous: Mapping[str, Any] | None) -> tuple[Event, ...]:
    """An Event for each condition that entered a state worth one, and for metrics that are back."""
    before = conditions_of(previous)
    events: list[Event] = []
    for finding in findings:
        was = before.get(finding.type)
        entered = was is None or (was.get("status"), was.get("reason")) != (finding.status.value, finding.reason)
        changed_list = finding.reason == "NotActedOn" and was is not None and was.get("message") != finding.message
        if not (entered or changed_list) or (was is None and finding.reason not in _WORTH_AT_THE_START):
            continue
        if finding.reason in _LOSSES and was is not None and was.get("status") != "True":
            continue
        kind = _KINDS.get((finding.type, finding.status.value, finding.reason), SILENT)
        if kind != SILENT:
            events.append(Event(kind, _NAMES.get(finding.reason, finding.reason), finding.message))
        elif finding.reason == "Fresh" and was is not None and was.get("status") == "False":
            events.append(Event(NORMAL, "MetricsBack", finding.message))
    return _without_repeats(events)


def decision_events(snapshot: PoolSnapshot, decision: Decision) -> tuple[Event, ...]:
    """Events for what is being done now."""
    events: list[Event] = []
    before, after = snapshot.replicas, decision.replicas
    if snapshot.deployment_exists and after > before:
        events.append(Event(NORMAL, "ScaledOut", f"{before} → {after} pods: {decision.rule}: {decision.reason}"))
    elif snapshot.deployment_exists and after < before:
        gone = f"finished: {names(decision.remove)}" if decision.remove else f"{decision.rule}: {decision.reason}"
        events.append(Event(NORMAL, "ScaledIn", f"{before} → {after} pods: {gone}"))
    if decision.drain:
        events.append(
            Event(
                NORMAL,
                "DrainStarted",
                f"{names(decision.drain)}: {decision.rule}: {decision.reason}; live streams go on",
            )
        )
    if decision.undrain:
        events.append(Event(NORMAL, "Undrained", f"{names(decision.undrain)} take newcomers again: {decision.reason}"))
    hot = sorted(name for name, sessions in decision.capacities.items() if sessions == 0)
    if hot:
        events.append(Event(WARNING, "LatencyTooHigh", f"{names(hot)} pass the latency target and take no newcomers"))
    return tuple(events)


def _without_repeats(events: list[Event]) -> tuple[Event, ...]:
    """One Event a reason: two conditions may tell the same story (no pod is ready, for pods fail)."""
    return tuple({event.reason: event for event in events}.values())
