"""What controllers say that no pod does."""

from __future__ import annotations

from typing import Any

import pytest

from asrpool_operator.reconcile.controllers import creation_problem, outdated_pods


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
