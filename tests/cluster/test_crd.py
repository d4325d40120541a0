"""The CRD on a real API server: what it fills in, what it shows, and what it refuses, with a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.errors import ComponentError
from devcluster.target import Cluster
from tests.operator.api.wrong_pools import BY_RULE, BY_SCHEMA, MODELS, Wrong

PROJECT = Path(__file__).resolve().parents[2]
NAMESPACE = "asrpool-test-crd"


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster that knows the CRD, and a namespace for objects that no operator has to see."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(PROJECT / "crds"))
    cluster.kubectl("wait", "--for=condition=Established", "crd/asrpools.asrpool.dev", "--timeout=30s")
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", "--timeout=120s")
    cluster.kubectl("create", "namespace", NAMESPACE)
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def tried(server: Cluster, spec: object, name: str = "tried") -> str:
    """Create a pool as the API server would, without keeping it; what is kept of it, as JSON."""
    manifest = {
        "apiVersion": "asrpool.dev/v1alpha1",
        "kind": "ASRPool",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
    return server.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input_text=json.dumps(manifest))


@pytest.mark.parametrize("wrong", [*BY_RULE.values(), *BY_SCHEMA.values()], ids=[*BY_RULE, *BY_SCHEMA])
def test_a_wrong_pool_is_refused_with_the_field(server: Cluster, wrong: Wrong) -> None:
    with pytest.raises(ComponentError) as refused:
        tried(server, wrong.spec, wrong.name)

    said = str(refused.value)
    assert wrong.field in said
    if wrong in BY_RULE.values():
        assert wrong.words in said


def test_defaults_are_filled_in(server: Cluster) -> None:
    spec = json.loads(tried(server, {"models": MODELS}))["spec"]

    assert spec["sessions"]["perPod"] == 20
    assert spec["scaling"]["maxReplicas"] == 10
    assert spec["gateway"]["stickyOn"] == {"header": "Device-Id"}


def test_sticky_on_a_query_does_not_get_the_default_header_too(server: Cluster) -> None:
    spec = json.loads(tried(server, {"models": MODELS, "gateway": {"stickyOn": {"query": "id"}}}))["spec"]

    assert spec["gateway"]["stickyOn"] == {"query": "id"}


def test_the_example_and_the_short_name(server: Cluster) -> None:
    """`kubectl apply -f examples/asrpool.yaml`, then as people look at it."""
    server.kubectl("-n", NAMESPACE, "apply", "--dry-run=server", "-f", str(PROJECT / "examples" / "asrpool.yaml"))

    assert "No resources found" not in server.kubectl("api-resources", "--api-group=asrpool.dev")
    assert "asrp" in server.kubectl("api-resources", "--api-group=asrpool.dev")


@pytest.mark.parametrize("path", ["", ".spec.scaling", ".spec.scaling.latency.milliseconds", ".status.lastDecision"])
def test_kubectl_explain(server: Cluster, path: str) -> None:
    assert "<empty>" not in server.kubectl("explain", f"asrpool{path}").replace("\n\n", "\n")


def test_kubectl_scale_sets_the_floor(server: Cluster) -> None:
    """`kubectl scale` is a wish for at least so many pods; beyond maxReplicas it is refused like any other edit."""
    pool = json.loads(
        tried(server, {"models": MODELS, "scaling": {"minReplicas": 0, "maxReplicas": 3, "paused": True}})
    )
    pool["metadata"] = {"name": "scaled", "namespace": NAMESPACE}
    server.kubectl("create", "-f", "-", input_text=json.dumps(pool))
    try:
        server.kubectl("-n", NAMESPACE, "scale", "asrp/scaled", "--replicas=2")
        assert (
            server.kubectl("-n", NAMESPACE, "get", "asrp/scaled", "-o", "jsonpath={.spec.scaling.minReplicas}") == "2"
        )

        with pytest.raises(ComponentError, match="minReplicas must not be greater than maxReplicas"):
            server.kubectl("-n", NAMESPACE, "scale", "asrp/scaled", "--replicas=4")
    finally:
        server.kubectl("-n", NAMESPACE, "delete", "asrp/scaled", "--wait=false")
