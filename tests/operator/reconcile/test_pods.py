"""A pod's JSON in the snapshot's words: above all, which pods will not come by waiting."""

from __future__ import annotations

from typing import Any

import pytest

from asrpool_operator.reconcile.pods import is_ready, worker_snapshot
from asrpool_operator.snapshot import PodPhase


def pod(
    *,
    ready: bool = False,
    container: dict[str, Any] | None = None,
    node: str | None = "n1",
    scheduled: dict[str, Any] | None = None,
    deleting: bool = False,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": "p-worker-1",
        "namespace": "n",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"pod-template-hash": "abc"},
        "annotations": annotations or {},
    }
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    conditions = [
        {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:09Z"},
        scheduled or {"type": "PodScheduled", "status": "True"},
    ]
    status: dict[str, Any] = {"phase": "Running", "conditions": conditions, "podIP": "10.0.0.1"}
    if container is not None:
        status["containerStatuses"] = [{"name": "worker", **container}]
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": status}


def ended(code: int, message: str = "", *, lived_seconds: int = 2) -> dict[str, Any]:
    return {
        "terminated": {
            "exitCode": code,
            "reason": "Error",
            "message": message,
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": f"2026-01-01T00:{lived_seconds // 60:02}:{lived_seconds % 60:02}Z",
        }
    }


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("seen", "phase", "problem"),
    [
        pytest.param(pod(ready=True), PodPhase.READY, "", id="ready"),
        pytest.param(pod(container={"state": RUNNING}), PodPhase.STARTING, "", id="runs, loads its models"),
        pytest.param(
            pod(container={"state": {"waiting": {"reason": "ContainerCreating"}}}), PodPhase.STARTING, "", id="is made"
        ),
        pytest.param(pod(ready=True, deleting=True), PodPhase.TERMINATING, "", id="on its way out, though ready"),
        pytest.param(
            pod(
                node=None,
                scheduled={
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/1 nodes: Insufficient nvidia.com/gpu",
                },
            ),
            PodPhase.UNSCHEDULED,
            "Unschedulable: 0/1 nodes: Insufficient nvidia.com/gpu",
            id="no room on any node",
        ),
        pytest.param(
            pod(node=None, scheduled={"type": "Initialized", "status": "True"}),
            PodPhase.UNSCHEDULED,
            "",
            id="not looked at by the scheduler yet",
        ),
        pytest.param(
            pod(container={"state": {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off: "nope:1"'}}}),
            PodPhase.FAILING,
            'ImagePullBackOff: Back-off: "nope:1"',
            id="image does not exist",
        ),
        pytest.param(
            pod(
                container={
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}},
                    "lastState": ended(2, "--online: /models/none has no config.yaml"),
                }
            ),
            PodPhase.FAILING,
            "CrashLoopBackOff: Error (exit code 2): --online: /models/none has no config.yaml",
            id="its last words say why, not the back-off's",
        ),
        pytest.param(
            pod(
                container={
                    "restartCount": 1,
                    "state": ended(1, '{"message": "listening"}\n{"level": "critical", "message": "no tokens"}\n'),
                }
            ),
            PodPhase.FAILING,
            "Error (exit code 1): no tokens",
            id="of a log, the last line's message",
        ),
        pytest.param(
            pod(container={"state": ended(2, "no config.yaml")}),
            PodPhase.STARTING,
            "Error (exit code 2): no config.yaml",
            id="ended once: the first restart is free, and its words are told",
        ),
        pytest.param(
            pod(container={"restartCount": 1, "state": RUNNING, "lastState": ended(137)}),
            PodPhase.STARTING,
            "Error (exit code 137)",
            id="killed soon after its start, and back",
        ),
        pytest.param(
            pod(container={"restartCount": 1, "state": ended(2, "no config.yaml")}),
            PodPhase.FAILING,
            "Error (exit code 2): no config.yaml",
            id="ended a second time",
        ),
        pytest.param(
            pod(container={"restartCount": 2, "state": RUNNING, "lastState": ended(2, "no config.yaml")}),
            PodPhase.FAILING,
            "Error (exit code 2): no config.yaml",
            id="tries again what failed twice",
        ),
        pytest.param(
            pod(container={"restartCount": 9, "state": RUNNING, "lastState": ended(137, lived_seconds=600)}),
            PodPhase.STARTING,
            "Error (exit code 137)",
            id="killed after a long life: it deserves its restart",
        ),
    ],
)
def test_phase(seen: dict[str, Any], phase: PodPhase, problem: str) -> None:
    snapshot = worker_snapshot(seen, None)
    assert (snapshot.phase, snapshot.problem) == (phase, problem)


def test_a_container_that_started_up_is_not_given_up() -> None:
    """Not ready for a moment, with streams on it: were it failing, it would be the first to be taken away."""
    seen = worker_snapshot(
        pod(container={"restartCount": 2, "started": True, "state": RUNNING, "lastState": ended(137)}), None
    )
    assert (seen.phase, seen.started, seen.restarts) == (PodPhase.STARTING, True, 2)


def test_a_pod_without_a_running_container_has_not_started() -> None:
    seen = worker_snapshot(pod(container={"started": False, "state": {"waiting": {"reason": "x"}}}), None)
    assert (seen.started, seen.restarts) == (False, 0)


def test_times_annotations_and_labels() -> None:
    seen = pod(
        ready=True,
        annotations={
            "asrpool.dev/draining-since": "1767225700.5",
            "controller.kubernetes.io/pod-deletion-cost": "-100",
        },
    )
    snapshot = worker_snapshot(seen, None)
    assert snapshot.created_unix_seconds == 1767225600
    assert snapshot.ready_unix_seconds == 1767225609
    assert snapshot.draining_since_unix_seconds == 1767225700.5
    assert not snapshot.protected
    assert (snapshot.deletion_cost, snapshot.template_hash, snapshot.ip) == (-100, "abc", "10.0.0.1")


def test_annotations_by_another_hand_that_make_no_sense_are_as_good_as_none() -> None:
    snapshot = worker_snapshot(pod(annotations={"asrpool.dev/draining-since": "yesterday"}), None)
    assert snapshot.draining_since_unix_seconds is None


def test_a_pod_that_was_just_made_has_no_status_at_all() -> None:
    bare = {"metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}}
    assert worker_snapshot(bare, None).phase is PodPhase.UNSCHEDULED
    assert not is_ready(bare)
