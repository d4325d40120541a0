"""When objects are applied, what is deleted, and who owns `replicas`."""

from __future__ import annotations

from typing import Any

import pytest

from asrpool_operator.cluster.protocol import Manifest, ref_of
from asrpool_operator.reconcile.manifests import (
    APPLY_AGAIN_SECONDS,
    DRIFT_QUIET_SECONDS,
    RETRY_SECONDS,
    Applied,
    fingerprint,
    orphans,
    why_apply,
    with_replicas,
)

WATCHED = {"Deployment", "ConfigMap"}


def deployment(*, replicas: int | None = None, image: str = "a", fields: Any = None) -> Manifest:
    spec: dict[str, Any] = {"template": {"image": image}}
    if replicas is not None:
        spec["replicas"] = replicas
    metadata: dict[str, Any] = {"name": "p-worker", "namespace": "n"}
    if fields is not None:
        metadata["managedFields"] = fields
    return {"kind": "Deployment", "metadata": metadata, "spec": spec}


def config(version: str) -> Manifest:
    return {"kind": "ConfigMap", "metadata": {"name": "p-gateway", "namespace": "n", "resourceVersion": version}}


NOW = 1000.0
OBJECTS = [deployment(replicas=1), config("1")]
APPLIED = Applied("d", NOW, complete=True, fingerprints={ref_of(made): fingerprint(made) for made in OBJECTS})


@pytest.mark.parametrize(
    ("applied", "digest", "present", "after_seconds", "reason"),
    [
        pytest.param(Applied(), "d", [], 0, "changed", id="never applied"),
        pytest.param(APPLIED, "e", OBJECTS, 0, "changed", id="an edit"),
        pytest.param(APPLIED, "d", OBJECTS, 1, "", id="nothing to do"),
        pytest.param(APPLIED, "d", [deployment(replicas=7), config("1")], 60, "", id="our own scaling is no drift"),
        pytest.param(APPLIED, "d", [deployment(replicas=1)], 1, "was deleted", id="a deletion, at once"),
        pytest.param(APPLIED, "d", [deployment(image="b"), config("1")], 60, "by somebody else", id="an edit of ours"),
        pytest.param(APPLIED, "d", [OBJECTS[0], config("2")], 60, "by somebody else", id="a kind without generation"),
        pytest.param(APPLIED, "d", [OBJECTS[0], config("2")], DRIFT_QUIET_SECONDS - 1, "", id="no tug of war"),
        pytest.param(APPLIED, "d", OBJECTS, APPLY_AGAIN_SECONDS, "time", id="now and then anyway"),
        pytest.param(Applied("d", NOW), "d", [], RETRY_SECONDS - 1, "", id="a failure is not retried at once"),
        pytest.param(Applied("d", NOW), "d", [], RETRY_SECONDS, "failed", id="a failure is retried"),
    ],
)
def test_why_apply(applied: Applied, digest: str, present: list[Manifest], after_seconds: float, reason: str) -> None:
    said = why_apply(applied, digest, present, WATCHED, NOW + after_seconds)
    assert reason in said
    assert bool(said) == bool(reason)


def owned(name: str, uid: str = "pool", *, controller: bool = True) -> Manifest:
    return {
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "namespace": "n",
            "uid": f"uid-{name}",
            "ownerReferences": [{"uid": uid, "controller": controller}],
        },
    }


def test_only_what_the_pool_owns_and_no_longer_renders_is_deleted() -> None:
    kept, dropped = owned("kept"), owned("dropped")
    present = [kept, dropped, owned("another-pools", "other"), owned("not-controlled", controller=False)]
    assert orphans(present, [kept], "pool") == [(ref_of(dropped), "uid-dropped")]


def owner(manager: str, operation: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}}


@pytest.mark.parametrize(
    ("live", "replicas"),
    [
        pytest.param(None, 3, id="a new one starts with what was decided"),
        pytest.param(
            deployment(replicas=5, fields=[owner("asrpool-operator", "Apply")]), 5, id="nobody scaled yet: repeated"
        ),
        pytest.param(
            deployment(replicas=5, fields=[owner("asrpool-operator-scale", "Update")]), None, id="scaled: left alone"
        ),
        pytest.param(deployment(replicas=5, fields=[owner("kubectl", "Update")]), None, id="by hand: left alone"),
    ],
)
def test_replicas_in_the_applied_deployment(live: Manifest | None, replicas: int | None) -> None:
    rendered = deployment()
    assert with_replicas(rendered, live, 3)["spec"].get("replicas") == replicas
    assert "replicas" not in rendered["spec"], "what was rendered is not changed"
