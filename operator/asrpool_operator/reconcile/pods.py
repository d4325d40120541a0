"""A worker pod's JSON turned into the snapshot's words. Pure.

The one judgement made here is FAILING: a pod that will not come by waiting. A container that cannot be made or pulled
fails at once. One that ran and ended has its first restart free (it was killed, or out of luck; it is back in seconds,
sooner than a pod in its place), and fails when it then does not live long.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from asrpool_operator.cluster.protocol import Manifest
from asrpool_operator.snapshot import PodPhase, WorkerSnapshot, WorkerStatus

DELETION_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
DRAINING_SINCE_ANNOTATION = "asrpool.dev/draining-since"
PROTECTING_ANNOTATIONS = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
"""What asks node autoscalers not to take a pod's node away to save money: one word for each of them."""
TEMPLATE_HASH_LABEL = "pod-template-hash"
WORKER_CONTAINER = "worker"

_HOPELESS_WAITS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
        "RunContainerError",
        "StartError",
    }
)
_SHORT_LIFE_SECONDS = 60.0


def worker_snapshot(pod: Manifest, status: WorkerStatus | None) -> WorkerSnapshot:
    """What the cluster says of one worker pod, with what it last said itself."""
    metadata, spec, state = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    phase, problem = _phase(pod)
    ready = _condition(state, "Ready")
    is_ready = ready.get("status") == "True"
    return WorkerSnapshot(
        name=metadata["name"],
        ip=state.get("podIP"),
        node=spec.get("nodeName"),
        phase=phase,
        created_unix_seconds=unix_seconds(metadata["creationTimestamp"]),
        ready_unix_seconds=unix_seconds(ready["lastTransitionTime"]) if is_ready else None,
        template_hash=(metadata.get("labels") or {}).get(TEMPLATE_HASH_LABEL, ""),
        draining_since_unix_seconds=_number(annotations.get(DRAINING_SINCE_ANNOTATION)),
        started=bool(_worker_container(state).get("started")),
        restarts=int(_worker_container(state).get("restartCount") or 0),
        deletion_cost=int(_number(annotations.get(DELETION_COST_ANNOTATION)) or 0),
        protected=all(annotations.get(key) == value for key, value in PROTECTING_ANNOTATIONS.items()),
        problem=problem,
        status=status,
    )


def is_ready(pod: Manifest) -> bool:
    """Whether the pod's Ready condition is true and it is not on its way out."""
    return "deletionTimestamp" not in pod["metadata"] and (
        _condition(pod.get("status") or {}, "Ready").get("status") == "True"
    )


def problem_of(pod: Manifest) -> str:
    """Why a pod is not ready, in the cluster's words; empty where it is, or where it only needs time."""
    return _phase(pod)[1]


def unix_seconds(stamp: str) -> float:
    """RFC 3339, as Kubernetes writes it, in unix seconds."""
    return datetime.fromisoformat(stamp).timestamp()


def _phase(pod: Manifest) -> tuple[PodPhase, str]:
    state = pod.get("status") or {}
    containers = _containers(state)
    if "deletionTimestamp" in pod["metadata"]:
        return PodPhase.TERMINATING, ""
    if _condition(state, "Ready").get("status") == "True":
        return PodPhase.READY, ""
    for container in containers:
        problem = _hopeless(container)
        if problem:
            return PodPhase.FAILING, problem
    scheduled = _condition(state, "PodScheduled")
    if scheduled.get("status") == "False":
        return PodPhase.UNSCHEDULED, _sentence(scheduled.get("reason") or "Unschedulable", scheduled.get("message"))
    if not (pod.get("spec") or {}).get("nodeName"):
        return PodPhase.UNSCHEDULED, ""
    return PodPhase.STARTING, _last_words(state)


def _worker_container(state: dict[str, Any]) -> dict[str, Any]:
    containers: Iterable[dict[str, Any]] = state.get("containerStatuses") or []
    return next((container for container in containers if container.get("name") == WORKER_CONTAINER), {})


def _hopeless(container: dict[str, Any]) -> str:
    if container.get("started"):
        return ""  # it came: that it is not ready now may pass, and it may carry streams
    state = container.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    before = (container.get("lastState") or {}).get("terminated") or {}
    if waiting.get("reason") in _HOPELESS_WAITS:
        # The back-off's own message only says that it backs off; the container's last words say why.
        return _sentence(waiting["reason"], _ending(before) or waiting.get("message"))
    restarts = int(container.get("restartCount") or 0)
    if restarts >= 1 and ended.get("exitCode") and _lived_seconds(ended) < _SHORT_LIFE_SECONDS:
        return _ending(ended)
    if restarts > 1 and before.get("exitCode") and _lived_seconds(before) < _SHORT_LIFE_SECONDS:
        return _ending(before)
    return ""


def _last_words(state: dict[str, Any]) -> str:
    for container in _containers(state):
        now, before = container.get("state") or {}, container.get("lastState") or {}
        words = _ending(now.get("terminated") or {}) or _ending(before.get("terminated") or {})
        if words:
            return words
    return ""


def _ending(terminated: dict[str, Any]) -> str:
    if not terminated.get("exitCode"):
        return ""
    reason = terminated.get("reason") or "Error"
    return _sentence(f"{reason} (exit code {terminated['exitCode']})", _last_line(terminated.get("message") or ""))


def _last_line(message: str) -> str:
    """The end of what a container left: its last words, without the log line's machinery where it logged JSON."""
    lines = [line for line in message.splitlines() if line.strip()]
    if not lines:
        return ""
    try:
        said = json.loads(lines[-1])
    except json.JSONDecodeError:
        return lines[-1].strip()
    return str(said["message"]) if isinstance(said, dict) and "message" in said else lines[-1].strip()


def _lived_seconds(terminated: dict[str, Any]) -> float:
    if not terminated.get("startedAt") or not terminated.get("finishedAt"):
        return 0.0
    return unix_seconds(terminated["finishedAt"]) - unix_seconds(terminated["startedAt"])


def _containers(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [*(state.get("initContainerStatuses") or []), *(state.get("containerStatuses") or [])]


def _condition(state: dict[str, Any], type_: str) -> dict[str, Any]:
    conditions: Iterable[dict[str, Any]] = state.get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == type_), {})


def _sentence(reason: str, message: str | None) -> str:
    return f"{reason}: {message}" if message else reason


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None  # somebody else's hand: the same as not set
