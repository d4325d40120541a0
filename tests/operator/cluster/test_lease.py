"""Leader election: at most one acts, and somebody does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool_operator.cluster.leadership import Leadership
from asrpool_operator.cluster.lease import LeaseSeen, LeaseTiming, Step, is_leading, next_step, observe
from asrpool_operator.cluster.protocol import ObjectRef
from asrpool_operator.errors import ClusterUnavailableError, ConflictError
from tests.operator.fakes import FakeCluster

TIMING = LeaseTiming()
LEASE = ObjectRef("Lease", "default", "asrpool-operator")


def seen(holder: str, since: float = 0.0) -> LeaseSeen:
    return LeaseSeen(holder=holder, version="1", since=since, lease_seconds=10.0)


@pytest.mark.parametrize(
    ("lease", "now", "step"),
    [
        pytest.param(None, 0.0, Step.CREATE, id="no lease yet"),
        pytest.param(seen("me"), 100.0, Step.RENEW, id="mine, however old"),
        pytest.param(seen("other"), 9.9, Step.WAIT, id="another's, not expired"),
        pytest.param(seen("other"), 10.0, Step.TAKE, id="another's, expired"),
        pytest.param(seen(""), 0.0, Step.TAKE, id="handed back"),
    ],
)
def test_next_step(lease: LeaseSeen | None, now: float, step: Step) -> None:
    assert next_step(lease, "me", now) is step


def test_a_lease_counts_from_when_its_version_was_first_seen_not_from_its_own_clock() -> None:
    manifest: dict[str, Any] = {
        "metadata": {"resourceVersion": "7"},
        "spec": {"holderIdentity": "other", "leaseDurationSeconds": 10, "renewTime": "1999-01-01T00:00:00.000000Z"},
    }
    first = observe(manifest, None, now=100.0)
    assert observe(manifest, first, now=105.0).since == 100.0
    manifest["metadata"]["resourceVersion"] = "8"
    assert observe(manifest, first, now=105.0).since == 105.0


@given(sent=st.floats(0, 1e6), delay=st.floats(0, 100), look=st.floats(0, 1e3))
def test_nobody_takes_the_lease_while_its_holder_may_still_act(sent: float, delay: float, look: float) -> None:
    """The other sees the renewal `delay` after it was sent, never before."""
    other = seen("holder", since=sent + delay)
    now = sent + delay + look
    if next_step(other, "other", now) is Step.TAKE:
        assert not is_leading(sent, TIMING, now)


@pytest.mark.parametrize("timing", [(10, 10, 1), (10, 5, 5), (5, 7, 1)])
def test_timings_that_could_make_two_leaders_are_refused(timing: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="retry < renew deadline < lease duration"):
        LeaseTiming(*timing)


class Replica:
    """One replica on a clock that the test moves."""

    def __init__(self, cluster: FakeCluster, name: str, clock: list[float]) -> None:
        self.told: list[bool] = []
        self.leadership = Leadership(cluster, LEASE, name, changed=self.told.append, monotonic=lambda: clock[0])

    async def round(self) -> bool:
        await self.leadership.try_once()
        return self.leadership.leading


async def test_the_first_leads_and_the_second_takes_over_when_it_is_silent() -> None:
    cluster, clock = FakeCluster(), [0.0]
    a, b = Replica(cluster, "a", clock), Replica(cluster, "b", clock)
    assert await a.round()
    assert not await b.round()
    clock[0] = 9.0
    assert not await b.round(), "the lease has not expired"
    assert not a.leadership.leading, "it has not renewed for longer than its deadline"
    clock[0] = 10.0
    assert await b.round()
    assert not await a.round()
    assert (a.told, b.told) == ([True, False], [True])
    assert cluster.one("Lease", "asrpool-operator")["spec"]["leaseTransitions"] == 1


async def test_leading_ends_by_the_clock_alone_while_the_api_server_is_down() -> None:
    cluster, clock = FakeCluster(), [0.0]
    a = Replica(cluster, "a", clock)
    assert await a.round()
    cluster.unavailable = True
    clock[0] = 6.9
    assert await a.round(), "a short outage does not unseat it"
    clock[0] = 7.0
    assert not a.leadership.leading
    assert not await a.round()
    cluster.unavailable = False
    assert await a.round(), "still its lease: it leads again at once"
    assert a.told == [True, False, True]


async def test_a_lost_race_for_the_lease_is_not_leading() -> None:
    cluster, clock = FakeCluster(), [0.0]
    a = Replica(cluster, "a", clock)
    cluster.refuse = lambda verb, _: ConflictError("another was faster") if verb == "create" else None
    assert not await a.round()


async def test_a_leader_that_stops_hands_the_lease_back_so_that_the_next_need_not_wait() -> None:
    cluster, clock = FakeCluster(), [0.0]
    a, b = Replica(cluster, "a", clock), Replica(cluster, "b", clock)
    await a.round()
    await a.leadership._release()
    assert a.told == [True, False]
    assert cluster.one("Lease", "asrpool-operator")["spec"]["holderIdentity"] == ""
    assert await b.round()


async def test_a_lease_that_cannot_be_handed_back_is_no_error() -> None:
    cluster, clock = FakeCluster(), [0.0]
    a = Replica(cluster, "a", clock)
    await a.round()
    cluster.refuse = lambda verb, _: ClusterUnavailableError("down") if verb == "replace" else None
    await a.leadership._release()
    assert not a.leadership.leading
