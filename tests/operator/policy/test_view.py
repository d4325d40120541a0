"""What the pods of a snapshot stand for."""

from __future__ import annotations

from typing import Any

import pytest

from asrpool_operator.policy.view import EMPTY_COST, View
from asrpool_operator.snapshot import GatewaySnapshot, PodPhase
from tests.operator.policy.builders import NOW, coming, draining, failing, pool, ready, silent, status


@pytest.mark.parametrize(
    ("snapshot", "current"),
    [
        pytest.param(pool(ready("a"), ready("b")), 2, id="as asked for"),
        pytest.param(pool(ready("a"), replicas=3), 3, id="two not made yet"),
        pytest.param(pool(ready("a"), draining("b", 1)), 1, id="a draining pod is none to take newcomers"),
        pytest.param(pool(ready("a"), draining("b", cost=EMPTY_COST), replicas=1), 1, id="one is being removed"),
        pytest.param(
            pool(ready("a"), coming("b"), draining("c", cost=EMPTY_COST), replicas=2),
            2,
            id="removed beside one to come",
        ),
        pytest.param(pool(ready("a"), coming("b"), replicas=1), 1, id="one on its way is being cancelled"),
        pytest.param(pool(ready("a"), failing("b")), 2, id="a failing pod that nothing makes up for yet"),
        pytest.param(pool(ready("a"), failing("b"), coming("c")), 2, id="a failing pod and its stand-in"),
        pytest.param(
            pool(ready("a"), ready("b"), coming("c", template_hash="t2"), replicas=2), 2, id="a rollout's surge"
        ),
        pytest.param(
            pool(ready("a"), ready("b"), failing("c", template_hash="t2"), replicas=2), 2, id="a stuck rollout"
        ),
        pytest.param(pool(ready("a", phase=PodPhase.TERMINATING), replicas=0), 0, id="leaving pods are gone"),
    ],
)
def test_current(snapshot: Any, current: int) -> None:
    assert View(snapshot, NOW).current == current


def test_who_is_missing() -> None:
    new = silent("new", ready_unix_seconds=NOW - 1)
    old_answer = ready("old-answer", status_fields={"scraped_unix_seconds": NOW - 6})
    view = View(pool(ready("a"), new, old_answer, silent("b"), gateway=GatewaySnapshot()), NOW)

    assert view.missing == ("old-answer", "b", "gateway")


@pytest.mark.parametrize(
    ("worker", "busy"),
    [
        pytest.param(coming("a"), False, id="its container loads its models"),
        pytest.param(coming("a", started=True), True, id="it had come before the operator did, and does not answer"),
        pytest.param(coming("a", started=True, status=status(0)), False, id="it says itself that it is empty"),
        pytest.param(coming("a", started=True, status=status(2)), True, id="it says itself that it is not"),
        pytest.param(failing("a"), False, id="its container cannot start"),
    ],
)
def test_a_pod_that_is_not_ready_may_carry_streams(worker: Any, busy: bool) -> None:
    assert View(pool(ready("b"), worker), NOW).unready_busy is busy
