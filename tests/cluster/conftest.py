"""A real cluster with the chart installed, once for all tests; a namespace of its own for each module's pools."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from devcluster.images import DEMO_IMAGES
from devcluster.target import Cluster, find_cluster
from tests.cluster.kube import Kube
from tests.cluster.pool import Pool

PROJECT = Path(__file__).resolve().parents[2]
SYSTEM_NAMESPACE = "asrpool-system"
RELEASE = "asrpool"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a cluster."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("cluster")


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster to test on, up and answering: the one that is named, else kind, else the devcluster."""
    found = find_cluster(lambda _line: None)
    found.up()
    return found


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    """For tests that run programs of their own."""
    return cluster.kubeconfig_path


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Callable[..., str]:
    """kubectl against the cluster: what it printed, or an error with what it complained of."""
    return cluster.kubectl


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> dict[str, str]:
    """The project's images, built from this very tree and known to the cluster."""
    return cluster.images(DEMO_IMAGES)


@pytest.fixture(scope="session")
def operator(cluster: Cluster, images: dict[str, str]) -> str:
    """The chart, installed as a user would; the namespace it is in."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(PROJECT / "crds"))
    values: list[str] = []
    for key, image in (("operator", "operator"), ("gateway", "gateway"), ("worker", "tiny")):
        repository, _, tag = images[image].rpartition(":")
        values += ["--set-string", f"{key}.image.repository={repository}", "--set-string", f"{key}.image.tag={tag}"]
    cluster.helm(
        "upgrade", "--install", RELEASE, str(PROJECT / "charts" / "asrpool"),
        "--namespace", SYSTEM_NAMESPACE, "--create-namespace", "--skip-crds", "--wait", "--timeout", "180s", *values,
    )  # fmt: skip
    return SYSTEM_NAMESPACE


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, operator: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace for a module's pools; `operator` is up."""
    assert operator
    name = "asrpool-test-" + re.sub(r"[^a-z0-9]+", "-", request.module.__name__.rpartition("test_")[2])
    cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait", "--timeout=120s")
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def kube(cluster: Cluster) -> AsyncIterator[Kube]:
    """Quick calls to the API server from inside the test's event loop."""
    with cluster.api() as url:
        connected = Kube(url)
        yield connected
        await connected.close()


@pytest.fixture
async def pool(cluster: Cluster, kube: Kube, namespace: str, request: pytest.FixtureRequest) -> AsyncIterator[Pool]:
    """A pool that the test is given a name for; gone, with everything of it, when the test is over."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_"))[:30].strip("-")
    made = Pool(cluster, kube, namespace, name)
    yield made
    await made.delete()
