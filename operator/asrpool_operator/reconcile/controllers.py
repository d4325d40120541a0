"""What the cluster's own controllers say of a pool's Deployment and StatefulSet. Pure.

Pods that are never made (a quota, a Pod Security level, an admission webhook) leave no pod to look at: only the
Deployment's condition tells; a StatefulSet has no word for it at all. And a StatefulSet of the strategy OnDelete leaves its pods as they are after an edit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from asrpool_operator.cluster.protocol import Manifest
from asrpool_operator.reconcile.pods import problem_of, unix_seconds

REVISION_LABEL = "controller-revision-hash"
FIRST_POD_SECONDS = 10.0
"""A StatefulSet without a pod for longer is not allowed to make one."""


def creation_problem(deployment: Manifest | None) -> str:
    """Why the Deployment's pods are not made, in the API server's words; empty where they are."""
    conditions = ((deployment or {}).get("status") or {}).get("conditions") or []
    for condition in conditions:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            words = condition.get("message") or condition.get("reason") or "unknown reason"
            # Each try has a pod name of its own, which says nothing and would make each message a new one.
            return re.sub(r'(-worker)-[a-z0-9]+(-[a-z0-9]+)?"', r'\1-…"', words)
    return ""


def outdated_pods(stateful_set: Manifest | None, pods: Iterable[Manifest]) -> tuple[str, ...]:
    """Pods of an older template that the StatefulSet will not replace by itself.

    By the pods' own labels: under OnDelete the controller never moves `status.currentRevision`.
    """
    if stateful_set is None or (stateful_set["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
        return ()
    newest = (stateful_set.get("status") or {}).get("updateRevision")
    revisions = {pod["metadata"]["name"]: (pod["metadata"].get("labels") or {}).get(REVISION_LABEL) for pod in pods}
    return tuple(sorted(name for name, revision in revisions.items() if newest and revision and revision != newest))


def gateway_problem(stateful_set: Manifest | None, pods: Sequence[Manifest], now: float) -> str:
    """Why gateway pods are not ready, each problem once; empty where they are, or only need time."""
    if not pods and stateful_set is not None:
        made = unix_seconds(stateful_set["metadata"]["creationTimestamp"])
        if now - made > FIRST_POD_SECONDS:
            name, namespace = stateful_set["metadata"]["name"], stateful_set["metadata"]["namespace"]
            return f"its StatefulSet makes no pod: `kubectl -n {namespace} describe statefulset {name}` says why"
    return "; ".join(dict.fromkeys(problem for pod in pods if (problem := problem_of(pod))))
