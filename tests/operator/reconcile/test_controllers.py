"""What controllers say that no pod does."""

from __future__ import annotations

from typing import Any

import pytest

from asrpool_operator.reconcile.controllers import creation_problem, gateway_problem, outdated_pods


def deployment(status: str, message: str) -> dict[str, Any]:
    conditions = [
        {"type": "Available", "status": "False", "message": "no minimum availability"},
        {"type": "ReplicaFailure", "status": status, "reason": "FailedCreate", "message": message},
    ]
    return {"spec": {}, "status": {"conditions": conditions}}


def test_why_pods_are_not_made_without_the_name_that_changes_with_each_try() -> None:
    tries = [
        creation_problem(deployment("True", f'pods "p-worker-6d5f-{name}" is forbidden: exceeded quota: gpus'))
        for name in ("abcde", "fghij")
    ]
    assert tries == ['pods "p-worker-…" is forbidden: exceeded quota: gpus'] * 2


@pytest.mark.parametrize("seen", [None, {"spec": {}}, deployment("False", "over")])
def test_no_problem(seen: dict[str, Any] | None) -> None:
    assert creation_problem(seen) == ""


def stateful_set(strategy: str, newest: str | None = "p-gateway-2") -> dict[str, Any]:
    # As under OnDelete in a real cluster: currentRevision stays at the first one for ever.
    status = {"currentRevision": "p-gateway-1", **({"updateRevision": newest} if newest else {})}
    return {"spec": {"updateStrategy": {"type": strategy}}, "status": status}


def pod(revision: str | None) -> dict[str, Any]:
    return {"metadata": {"name": "p-gateway-0", "labels": {"controller-revision-hash": revision} if revision else {}}}


@pytest.mark.parametrize(
    ("seen", "revision", "outdated"),
    [
        pytest.param(stateful_set("OnDelete"), "p-gateway-1", ("p-gateway-0",), id="older"),
        pytest.param(stateful_set("OnDelete"), "p-gateway-2", (), id="deleted and made anew"),
        pytest.param(stateful_set("RollingUpdate"), "p-gateway-1", (), id="replaced by the cluster itself"),
        pytest.param(stateful_set("OnDelete", None), "p-gateway-1", (), id="not looked at yet"),
        pytest.param(stateful_set("OnDelete"), None, (), id="of no known template"),
        pytest.param(None, "p-gateway-1", (), id="no StatefulSet"),
    ],
)
def test_outdated(seen: dict[str, Any] | None, revision: str | None, outdated: tuple[str, ...]) -> None:
    assert outdated_pods(seen, [pod(revision)]) == outdated


WAITS = {
    "metadata": {"name": "p-gateway-0"},
    "spec": {"nodeName": "n"},
    "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "gw:none"}}}]},
}
STARTS = {"metadata": {"name": "p-gateway-0"}, "spec": {"nodeName": "n"}, "status": {}}
LEAVES = {"metadata": {"name": "p-gateway-0", "deletionTimestamp": "2027-01-15T08:00:30Z"}, "status": {}}
MADE = {"metadata": {"name": "p-gateway", "namespace": "n", "creationTimestamp": "2027-01-15T08:00:00Z"}}
MADE_UNIX_SECONDS = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seen", "pods", "age_seconds", "words"),
    [
        pytest.param(None, [], 60, "", id="nothing made yet"),
        pytest.param(MADE, [], 2, "", id="just made"),
        pytest.param(MADE, [], 60, "kubectl -n n describe statefulset p-gateway", id="a quota takes its pod"),
        pytest.param(MADE, [STARTS], 60, "", id="it starts"),
        pytest.param(MADE, [LEAVES], 60, "", id="its only pod finishes its streams"),
        pytest.param(MADE, [WAITS, WAITS], 60, "ErrImagePull: gw:none", id="no image"),
    ],
)
def test_gateway_problem(seen: dict[str, Any] | None, pods: list[dict[str, Any]], age_seconds: int, words: str) -> None:
    said = gateway_problem(seen, pods, MADE_UNIX_SECONDS + age_seconds)
    assert words in said
    assert bool(said) == bool(words)
    assert said.count("gw:none") <= 1
