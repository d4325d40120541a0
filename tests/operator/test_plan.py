"""Decisions become actions in an order that is safe to be cut off anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from asrpool_operator.plan import Action, Annotate, Drain, Scale, SetCapacity, Undrain, plan
from asrpool_operator.policy import Decision
from asrpool_operator.policy.view import DRAINING_COST, EMPTY_COST
from asrpool_operator.snapshot import PodPhase, PoolSnapshot
from tests.operator.policy.builders import NOW, coming, draining, failing, pool, ready

SINCE = NOW - 20


def decision(replicas: int, **fields: object) -> Decision:
    return Decision.model_validate(
        {"unix_seconds": NOW, "desired_replicas": replicas, "replicas": replicas, "rule": "r", "reason": "why"} | fields
    )


@dataclass(frozen=True)
class Case:
    snapshot: PoolSnapshot
    decision: Decision
    actions: tuple[Action, ...]


CASES = {
    "NothingToDo": Case(pool(ready("a", 1)), decision(1), ()),
    "PodsAreAskedForFirst": Case(
        pool(ready("a", 4), draining("b", 1, cost=DRAINING_COST)),
        decision(3, undrain=("b",), deletion_costs={"b": 0}),
        (Scale(2, 3), Annotate("b", 0, None, protected=True), Undrain("b")),
    ),
    "PodsAreGivenUpLast": Case(
        pool(ready("a", 1), ready("c", 1), draining("b", 0, cost=EMPTY_COST)),
        decision(2, remove=("b",), capacities={"a": 3}, drain=("c",), deletion_costs={"c": DRAINING_COST}),
        (Annotate("c", DRAINING_COST, NOW, protected=True), Drain("c"), SetCapacity("a", 3), Scale(3, 2)),
    ),
    "ADrainIsAnnouncedBeforeItIsAskedFor": Case(
        pool(ready("a", 1), ready("b", 1)),
        decision(2, drain=("b",), deletion_costs={"b": DRAINING_COST}),
        (Annotate("b", DRAINING_COST, NOW, protected=True), Drain("b")),
    ),
    "AnAnnouncedDrainThatWasCutOffIsAskedForAgain": Case(
        pool(ready("a", 1), ready("b", 1, draining_since_unix_seconds=SINCE, deletion_cost=DRAINING_COST)),
        decision(2),
        (Drain("b"),),
    ),
    "AnUnDrainThatWasCutOffIsAskedForAgain": Case(
        pool(ready("a", 4), ready("b", 1, status_fields={"draining": True})),
        decision(2, undrain=("b",)),
        (Undrain("b"),),
    ),
    "ADrainSomebodyElseBeganIsWrittenDown": Case(
        pool(ready("a", 4), ready("b", 1, status_fields={"draining": True})),
        decision(2, deletion_costs={"b": DRAINING_COST}),
        (Annotate("b", DRAINING_COST, NOW, protected=True),),
    ),
    "TheTimeOfADrainIsKeptWhenItsCostChanges": Case(
        pool(ready("a", 4), draining("b", 0, cost=DRAINING_COST, since=SINCE)),
        decision(2, deletion_costs={"b": EMPTY_COST}),
        (Annotate("b", EMPTY_COST, SINCE, protected=False),),
    ),
    "PodsThatReturnComeBeforePodsThatGo": Case(
        pool(draining("a", 0, cost=DRAINING_COST, since=SINCE), draining("b", 2, cost=DRAINING_COST, since=SINCE)),
        decision(2, undrain=("b",), deletion_costs={"a": EMPTY_COST, "b": 0}),
        (Annotate("b", 0, None, protected=True), Annotate("a", EMPTY_COST, SINCE, protected=False), Undrain("b")),
    ),
    "TheNodeOfAPodThatTakesStreamsIsLeftAlone": Case(
        pool(ready("a", protected=False), coming("b"), replicas=2),
        decision(2),
        (Annotate("a", 0, None, protected=True),),
    ),
    "ADrainingPodWithStreamsKeepsItsNode": Case(
        pool(ready("a", 1), draining("b", 1, cost=DRAINING_COST, since=SINCE)), decision(2), ()
    ),
    "AFinishedPodLetsItsNodeGo": Case(
        pool(ready("a", 1), draining("b", 0, cost=EMPTY_COST, since=SINCE, protected=True)),
        decision(2),
        (Annotate("b", EMPTY_COST, SINCE, protected=False),),
    ),
    "APodThatIsNotReadyAnyMoreMayHaveStreams": Case(pool(coming("a", protected=True)), decision(1), ()),
    "APodThatCannotRunLetsItsNodeGo": Case(
        pool(failing("a", protected=True)), decision(1), (Annotate("a", 0, None, protected=False),)
    ),
    "NothingIsSaidToAPodThatWasToldToGo": Case(
        pool(ready("a", 1), ready("b", 1, phase=PodPhase.TERMINATING, draining_since_unix_seconds=SINCE)),
        decision(1),
        (),
    ),
    "NoScaleWithoutADeployment": Case(
        pool(replicas=0).model_copy(update={"deployment_exists": False}), decision(2), ()
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_plan(case: Case) -> None:
    assert plan(case.snapshot, case.decision) == case.actions
