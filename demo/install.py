"""Brings everything up as a user would: cluster, images, `helm install`, `kubectl apply`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from devcluster.images import DEMO_IMAGES
from devcluster.target import Cluster

PROJECT = Path(__file__).resolve().parents[1]
SYSTEM_NAMESPACE = "asrpool-system"
NAMESPACE = "asrpool-demo"
POOL = "mandarin"
POOL_FILE = PROJECT / "examples" / "asrpool.yaml"
GATEWAY_READY_SECONDS = 60

Report = Callable[[str], None]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class ImageNames:
    """References as the chart's values want them."""

    operator: str
    gateway: str
    worker: str

    def helm_values(self) -> list[str]:
        """`--set` arguments."""
        sets: list[str] = []
        for key, reference in (("operator", self.operator), ("gateway", self.gateway), ("worker", self.worker)):
            repository, _, tag = reference.rpartition(":")
            sets += ["--set-string", f"{key}.image.repository={repository}", "--set-string", f"{key}.image.tag={tag}"]
        return sets


def install(cluster: Cluster, report: Report) -> None:
    """Cluster up, images built and loaded, chart installed, pool applied and its gateway Ready."""
    _timed(report, f"cluster {cluster.name}", cluster.up)
    references = _timed(report, "images", lambda: cluster.images(DEMO_IMAGES))
    names = ImageNames(references["operator"], references["gateway"], references["tiny"])
    _timed(report, "helm install", lambda: _helm(cluster, names))
    _timed(report, f"kubectl apply -f {POOL_FILE.relative_to(PROJECT)}", lambda: _apply(cluster))


def _helm(cluster: Cluster, names: ImageNames) -> None:
    # A CRD is not part of an upgrade in helm: an older one that is left from an earlier run is brought up to date first.
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(PROJECT / "crds"))
    cluster.helm(
        "upgrade", "--install", "asrpool", str(PROJECT / "charts" / "asrpool"),
        "--namespace", SYSTEM_NAMESPACE, "--create-namespace", "--wait", "--timeout", "120s", "--skip-crds",
        *names.helm_values(),
    )  # fmt: skip


def _apply(cluster: Cluster) -> None:
    # A pool that an earlier, interrupted run left with streams or pods would spoil the figures: begin from none. The pool
    # goes, not the namespace: Kubernetes looks at a namespace again only after half of its pods' grace period.
    manifest = cluster.kubectl("create", "namespace", NAMESPACE, "--dry-run=client", "--output=yaml")
    cluster.kubectl("apply", "-f", "-", input_text=manifest)
    cluster.kubectl("--namespace", NAMESPACE, "delete", "asrpools", "--all", "--wait", "--timeout=60s")
    pods = ("pods", f"--selector=asrpool.dev/pool={POOL}")
    cluster.kubectl("--namespace", NAMESPACE, "wait", "--for=delete", *pods, "--timeout=120s")
    cluster.kubectl("--namespace", NAMESPACE, "apply", "-f", str(POOL_FILE))
    gateway = f"statefulset/{POOL}-gateway"
    # Waiting fails at once on an object that the operator has not made yet: wait for it to exist first.
    cluster.kubectl("--namespace", NAMESPACE, "wait", "--for=create", gateway, f"--timeout={GATEWAY_READY_SECONDS}s")
    # No `rollout status`: a single gateway is never rolled by itself (OnDelete), and kubectl then refuses to answer.
    ready = "--for=jsonpath={.status.readyReplicas}=1"
    cluster.kubectl("--namespace", NAMESPACE, "wait", ready, gateway, f"--timeout={GATEWAY_READY_SECONDS}s")


def _timed(report: Report, what: str, work: Callable[[], Answer]) -> Answer:
    report(f"{what} …")
    began = time.monotonic()
    answer = work()
    report(f"{what}: {time.monotonic() - began:.1f} s")
    return answer
