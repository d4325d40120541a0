"""Status, conditions and Events follow from what was seen and decided."""

from __future__ import annotations

from typing import Any

import pytest

from asrpool_operator.api import ASRPoolSpec, ASRPoolStatus
from asrpool_operator.policy import Memory, decide
from asrpool_operator.snapshot import GatewaySnapshot, PodPhase, PoolSnapshot
from asrpool_operator.status import Report, report, report_invalid
from tests.operator.policy.builders import NOW, coming, draining, failing, pool, ready, silent, spec


def said(
    snapshot: PoolSnapshot, made: ASRPoolSpec | None = None, previous: dict[str, Any] | None = None, now: float = NOW
) -> Report:
    made = made or spec()
    seen_before = Memory(began_unix_seconds=NOW - 1000)
    return report(made, snapshot, decide(made, snapshot, seen_before, NOW), previous, now)


def condition(result: Report, type_: str) -> dict[str, Any]:
    found: dict[str, Any] = next(found for found in result.status["conditions"] if found["type"] == type_)
    return found


QUOTA = 'pods "p-worker-…" is forbidden: exceeded quota: gpus'
OUTDATED = GatewaySnapshot(ready_replicas=1, scraped_unix_seconds=NOW, outdated=("p-gateway-0",))
CONDITIONS = [
    pytest.param(pool(ready("a", 1)), "Ready", "True", "Serving", id="a pod takes streams"),
    pytest.param(pool(), "Ready", "True", "ScaledToZero", id="nothing is wanted"),
    pytest.param(pool(coming("a"), waiting=1), "Ready", "False", "PodsStarting", id="the first pod starts"),
    pytest.param(pool(failing("a"), waiting=1), "Ready", "False", "PodsFailing", id="no pod can start"),
    pytest.param(
        pool(ready("a"), gateway=GatewaySnapshot()), "Ready", "False", "GatewayNotReady", id="the gateway is away"
    ),
    pytest.param(
        pool(gateway=GatewaySnapshot(problem="ImagePullBackOff: no such image")),
        "Ready",
        "False",
        "GatewayFailing",
        id="the gateway cannot start",
    ),
    pytest.param(
        pool(waiting=1).model_copy(update={"creation_problem": QUOTA}), "Ready", "False", "PodsNotCreated", id="a quota"
    ),
    pytest.param(
        pool(ready("a", 4)).model_copy(update={"creation_problem": QUOTA}),
        "Progressing",
        "False",
        "PodsNotCreated",
        id="a quota is used up",
    ),
    pytest.param(pool(gateway=OUTDATED), "GatewayCurrent", "False", "OutOfDate", id="an older gateway"),
    pytest.param(pool(), "GatewayCurrent", "True", "UpToDate", id="the newest gateway"),
    pytest.param(
        pool().model_copy(update={"deployment_exists": False}), "Ready", "False", "Creating", id="nothing made yet"
    ),
    pytest.param(pool(ready("a", 4), coming("b")), "Progressing", "True", "PodsStarting", id="one more starts"),
    pytest.param(pool(ready("a", 1), failing("b")), "Progressing", "False", "PodsFailing", id="one fails"),
    pytest.param(
        pool(ready("a", 1), coming("b", PodPhase.UNSCHEDULED, problem="Unschedulable: no GPU"), waiting=5),
        "Progressing",
        "True",
        "PodsUnscheduled",
        id="one waits for a node",
    ),
    pytest.param(
        pool(ready("a", 1), coming("b", template_hash="t2")), "Progressing", "True", "RollingOut", id="a rollout"
    ),
    pytest.param(pool(ready("a", 1)), "Progressing", "False", "AsDesired", id="all there"),
    pytest.param(pool(waiting=100), "ScalingLimited", "True", "TooManyReplicas", id="more than maxReplicas"),
    pytest.param(pool(ready("a", 1)), "ScalingLimited", "False", "NotLimited", id="not limited"),
    pytest.param(pool(ready("a", 1)), "MetricsAvailable", "True", "Fresh", id="all answer"),
    pytest.param(pool(silent("a")), "MetricsAvailable", "False", "Missing", id="one does not answer"),
    pytest.param(pool(gateway=GatewaySnapshot()), "MetricsAvailable", "Unknown", "NotYet", id="nobody to ask"),
    pytest.param(pool(ready("a", 1), draining("b", 1)), "Draining", "True", "PodsDraining", id="one drains"),
    pytest.param(pool(ready("a", 1)), "Draining", "False", "NoneDraining", id="none drains"),
    pytest.param(pool(ready("a", 1)), "FullySupported", "True", "AllActedOn", id="all fields have effect"),
]


@pytest.mark.parametrize(("snapshot", "type_", "status", "reason"), CONDITIONS)
def test_condition(snapshot: PoolSnapshot, type_: str, status: str, reason: str) -> None:
    found = condition(said(snapshot, spec(maxReplicas=4)), type_)

    assert (found["status"], found["reason"]) == (status, reason)
    assert found["message"]


def test_a_problem_is_told_in_the_clusters_own_words() -> None:
    result = said(pool(failing("a", "CrashLoopBackOff: no such directory: /models/nope"), waiting=1))

    for type_ in ("Ready", "Progressing"):
        assert "/models/nope" in condition(result, type_)["message"]
    assert [event.reason for event in result.events if event.type == "Warning"] == ["PodsFailing"]


@pytest.mark.parametrize(
    ("snapshot", "reason", "words"),
    [
        pytest.param(
            pool(gateway=GatewaySnapshot(problem="ImagePullBackOff: gw:1")), "GatewayFailing", "gw:1", id="gateway"
        ),
        pytest.param(
            pool(waiting=1).model_copy(update={"creation_problem": QUOTA}),
            "PodsNotCreated",
            "exceeded quota",
            id="quota",
        ),
    ],
)
def test_what_keeps_a_new_pool_from_starting_is_told_at_once_and_once(
    snapshot: PoolSnapshot, reason: str, words: str
) -> None:
    first = said(snapshot)
    told = [event for event in first.events if event.type == "Warning"]

    assert [event.reason for event in told] == [reason]
    assert words in told[0].message
    assert words in condition(first, "Ready")["message"]
    assert not [event for event in said(snapshot, previous=first.status).events if event.type == "Warning"]


def test_an_outdated_gateway_says_what_to_do() -> None:
    before = said(pool(ready("a", 1)))
    result = said(pool(ready("a", 1), gateway=OUTDATED), previous=before.status)

    assert "delete the pod" in condition(result, "GatewayCurrent")["message"]
    assert "GatewayOutOfDate" in [event.reason for event in result.events]


def test_fields_without_effect_are_named() -> None:
    made = spec("auto", forecast={"enabled": True})
    found = condition(said(pool(), made), "FullySupported")

    assert found["status"] == "False"
    assert "spec.scaling.forecast" in found["message"]
    assert "NotActedOn" in [event.reason for event in said(pool(), made).events]


def test_numbers() -> None:
    made = spec(latency={"milliseconds": 800}, budget={"pricePerReplicaHour": 1.5, "currency": "CNY"})
    busy = ready("a", 3, status_fields={"partial_ms": 412.34, "latency_samples": 30})
    status = said(pool(busy, draining("b", 1), coming("c"), waiting=2), made).status

    assert status["replicas"] == 3
    assert status["readyReplicas"] == 2
    assert status["drainingReplicas"] == 1
    assert (status["sessions"], status["queued"]) == (4, 2)
    assert status["latencyMilliseconds"] == 412.3
    assert status["cost"] == {"perHour": 4.5, "currency": "CNY"}
    assert status["selector"] == "asrpool.dev/pool=p,app.kubernetes.io/component=worker"


def test_the_status_is_of_the_schema() -> None:
    """What is written has only fields that the CRD knows: the API server would drop others in silence."""
    made = spec(latency={"milliseconds": 800}, budget={"pricePerReplicaHour": 1.5})
    ASRPoolStatus.model_validate(said(pool(ready("a", 3), draining("b", 1), waiting=9), made).status)


def test_a_conditions_time_changes_only_with_its_status() -> None:
    first = said(pool(ready("a", 1)))
    later = said(pool(ready("a", 1), coming("b")), previous=first.status, now=NOW + 60)

    assert condition(later, "Ready")["lastTransitionTime"] == condition(first, "Ready")["lastTransitionTime"]
    assert (
        condition(later, "Progressing")["lastTransitionTime"] != condition(first, "Progressing")["lastTransitionTime"]
    )


def test_the_last_decision_is_kept_until_the_next() -> None:
    first = said(pool(waiting=9))
    later = said(pool(ready("a", 3)), previous=first.status)

    assert first.status["lastDecision"]["from"] == 0
    assert first.status["lastDecision"]["to"] > 0
    assert first.status["lastDecision"]["reason"]
    assert later.status["lastDecision"] == first.status["lastDecision"]


def test_a_state_that_goes_on_is_told_once() -> None:
    snapshot = pool(ready("a", 1), failing("b"), silent("c"))
    first = said(snapshot)
    again = said(snapshot, previous=first.status, now=NOW + 1)

    told = {"PodsFailing", "MetricsMissing", "ScalingLimited", "NotActedOn"}
    assert told & {event.reason for event in first.events}
    assert not told & {event.reason for event in again.events}


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        pytest.param(pool(coming("a"), waiting=1), pool(ready("a", 1)), "Serving", id="ready at last"),
        pytest.param(pool(ready("a", 1)), pool(ready("a", 1), failing("b")), "PodsFailing", id="a pod fails"),
        pytest.param(pool(ready("a", 1)), pool(silent("a")), "MetricsMissing", id="numbers stop"),
        pytest.param(pool(silent("a")), pool(ready("a", 1)), "MetricsBack", id="numbers are back"),
        pytest.param(pool(ready("a", 1)), pool(ready("a", 1), waiting=99), "ScalingLimited", id="at the limit"),
        pytest.param(pool(ready("a", 1)), pool(ready("a", 1), waiting=9), "ScaledOut", id="more pods"),
        pytest.param(
            pool(ready("a", 1)), pool(ready("a", 4), draining("b", 1), waiting=2), "Undrained", id="a drain is undone"
        ),
    ],
)
def test_transitions_are_told(before: PoolSnapshot, after: PoolSnapshot, reason: str) -> None:
    made = spec(maxReplicas=4)
    first = said(before, made)

    assert reason in {event.reason for event in said(after, made, first.status).events}


def test_a_new_pool_starts_without_a_word_of_what_is_not_there_yet() -> None:
    made, away = spec(minReplicas=1), GatewaySnapshot()
    previous: dict[str, Any] | None = None
    told: list[str] = []
    for snapshot in (
        pool(gateway=away).model_copy(update={"deployment_exists": False}),
        pool(coming("a"), gateway=away),
        pool(ready("a"), gateway=away),
        pool(ready("a")),
    ):
        result = said(snapshot, made, previous)
        previous = result.status
        told += [event.reason for event in result.events]

    assert told == ["Serving"]


@pytest.mark.parametrize(
    "odd", [None, {}, {"conditions": None}, {"conditions": [{"status": "True"}, 3]}, {"lastDecision": 1}]
)
def test_an_odd_status_is_replaced(odd: dict[str, Any] | None) -> None:
    assert condition(said(pool(ready("a", 1)), previous=odd), "Ready")["status"] == "True"
    assert report_invalid("no", odd, 2, NOW).status["observedGeneration"] == 2


def test_an_invalid_spec_keeps_all_but_ready() -> None:
    first = said(pool(ready("a", 1), draining("b", 1)))
    result = report_invalid("spec.scaling: minReplicas must not be greater", first.status, 7, NOW + 5)

    ready_now = condition(result, "Ready")
    assert (ready_now["status"], ready_now["reason"], ready_now["observedGeneration"]) == ("False", "InvalidSpec", 7)
    assert "minReplicas" in ready_now["message"]
    assert condition(result, "Draining") == condition(first, "Draining")
    assert result.status["sessions"] == 2
    assert [event.reason for event in result.events] == ["InvalidSpec"]
    assert report_invalid("spec.scaling: …", result.status, 7, NOW + 6).events == ()
