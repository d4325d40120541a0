"""What is seen of the gateways: a sum that misses a part must never pass for the whole."""

from __future__ import annotations

from asrpool_operator.api import parse
from asrpool_operator.cluster.protocol import ObjectRef
from asrpool_operator.reconcile.observe import Observer
from asrpool_operator.scrape.answers import GatewayCounts
from asrpool_operator.snapshot import GatewaySnapshot
from tests.operator.fakes import FakeCluster, FakePorts

NOW = 1_800_000_000.0
POOL = parse({"metadata": {"name": "p", "namespace": "default"}, "spec": {"models": {"online": "/m"}}})


class Gateways:
    """Two ready gateway pods that are asked when told; the second holds three streams."""

    def __init__(self) -> None:
        self.now = NOW
        self.cluster = FakeCluster()
        self.ports = FakePorts(clock=lambda: self.now)
        self.observer = Observer(self.cluster, self.ports)
        self.put(0)
        self.put(1)
        self.ports.gateways = {"10.0.1.0": held(0), "10.0.1.1": held(3)}

    def put(self, number: int, *, leaving: bool = False, ready: bool = True) -> None:
        metadata = {
            "name": f"p-gateway-{number}",
            "namespace": "default",
            "labels": {"asrpool.dev/pool": "p", "app.kubernetes.io/component": "gateway"},
        }
        if leaving:
            metadata["deletionTimestamp"] = "2027-01-15T08:00:00Z"
        status = {"podIP": f"10.0.1.{number}", "conditions": [{"type": "Ready", "status": str(ready)}]}
        self.cluster.put({"kind": "Pod", "metadata": metadata, "status": status})

    async def seen(self) -> GatewaySnapshot:
        return (await self.observer.observe(POOL, "token", self.now)).snapshot.gateway


def held(streams: int) -> GatewayCounts:
    return GatewayCounts(held=streams, queued=0, refused=0)


async def test_the_counts_of_all_gateways_are_added_up() -> None:
    seen = await Gateways().seen()
    assert (seen.ready_replicas, seen.held, seen.scraped_unix_seconds) == (2, 3, NOW)


async def test_a_ready_gateway_that_never_answered_leaves_the_sum_unknown() -> None:
    gateways = Gateways()
    del gateways.ports.gateways["10.0.1.1"]
    assert (await gateways.seen()).scraped_unix_seconds is None


async def test_a_gateway_that_falls_silent_makes_the_sum_as_old_as_its_last_answer() -> None:
    gateways = Gateways()
    await gateways.seen()
    del gateways.ports.gateways["10.0.1.1"]
    gateways.now += 9
    assert (await gateways.seen()).scraped_unix_seconds == NOW


async def test_a_gateway_that_is_not_ready_yet_need_not_answer() -> None:
    gateways = Gateways()
    gateways.put(1, ready=False)
    del gateways.ports.gateways["10.0.1.1"]
    assert (await gateways.seen()).scraped_unix_seconds == NOW


async def test_a_gateway_on_its_way_out_is_neither_asked_nor_counted() -> None:
    """It may last for hours, and answer no more: that must not hold the pool's scale-in for as long."""
    gateways = Gateways()
    await gateways.seen()
    gateways.put(1, leaving=True)
    del gateways.ports.gateways["10.0.1.1"]
    gateways.now += 9
    seen = await gateways.seen()
    assert (seen.ready_replicas, seen.held, seen.scraped_unix_seconds) == (1, 0, gateways.now)


async def test_what_keeps_gateways_and_workers_from_coming_is_seen() -> None:
    gateways = Gateways()
    pod = gateways.cluster.one("Pod", "p-gateway-1")
    pod["metadata"]["labels"]["controller-revision-hash"] = "p-gateway-1"
    pod["status"]["conditions"] = []
    pod["status"]["containerStatuses"] = [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "gw:none"}}}]
    gateways.cluster.put(pod)
    labels = {"asrpool.dev/pool": "p"}
    gateways.cluster.put(
        {
            "kind": "StatefulSet",
            "metadata": {"name": "p-gateway", "namespace": "default", "labels": labels},
            "spec": {"updateStrategy": {"type": "OnDelete"}},
            "status": {"updateRevision": "p-gateway-2"},
        }
    )
    gateways.cluster.put(
        {
            "kind": "Deployment",
            "metadata": {"name": "p-worker", "namespace": "default", "labels": labels},
            "spec": {"replicas": 1},
            "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]},
        }
    )

    seen = (await gateways.observer.observe(POOL, "token", NOW)).snapshot

    assert seen.gateway.problem == "ImagePullBackOff: gw:none"
    assert seen.gateway.outdated == ("p-gateway-1",)
    assert seen.creation_problem == "exceeded quota"


async def test_a_gateway_that_only_finishes_its_streams_is_no_gateway_that_cannot_be_made() -> None:
    gateways = Gateways()
    for number in (0, 1):
        gateways.put(number, leaving=True)
    gateways.cluster.put(
        {
            "kind": "StatefulSet",
            "metadata": {"name": "p-gateway", "namespace": "default", "labels": {"asrpool.dev/pool": "p"}},
            "spec": {},
        }
    )
    assert (await gateways.seen()).problem == ""
    for number in (0, 1):
        del gateways.cluster.stored[ObjectRef("Pod", "default", f"p-gateway-{number}")]
    assert "describe statefulset p-gateway" in (await gateways.seen()).problem
