"""Whole decisions, as a table of situations: each row reads as a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from asrpool_operator.api import ASRPoolSpec, parse
from asrpool_operator.policy import Memory, decide
from asrpool_operator.policy.decision import Recommendation
from asrpool_operator.policy.view import DRAINING_COST, EMPTY_COST
from asrpool_operator.snapshot import GatewaySnapshot, PodPhase, PoolSnapshot
from tests.operator.policy.builders import NOW, coming, draining, failing, pool, ready, silent, spec

SETTLED = Memory(
    recommendations=(Recommendation(unix_seconds=NOW - 3000, replicas=0),),
    cold_starts_seconds=(0.0,),
    last_busy_unix_seconds=NOW - 3000,
)
"""A pool that was idle for long and whose pods come at once: neither windows nor expectations play a part."""


@dataclass(frozen=True)
class Case:
    snapshot: PoolSnapshot
    replicas: int
    spec: ASRPoolSpec = field(default_factory=spec)
    memory: Memory = SETTLED
    drain: tuple[str, ...] = ()
    undrain: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    rule: str | None = None


CASES = {
    "NothingIsWantedNothingRuns": Case(pool(), 0),
    "TheFirstWaitingStreamGetsAPod": Case(pool(waiting=1), 1),
    "ABurstIsFollowedOnTheTickThatSeesIt": Case(pool(waiting=12), 3),
    "PodsOnTheirWayAreNotAskedForAgain": Case(pool(coming("a"), coming("b"), coming("c"), waiting=12), 3),
    "PodsAskedForButNotMadeYetAreNotAskedForAgain": Case(pool(replicas=3, waiting=12), 3),
    "AnUnscheduledPodIsStillOnItsWay": Case(pool(coming("a", PodPhase.UNSCHEDULED), waiting=2), 1),
    "MoreStreamsThanMaxReplicasHold": Case(pool(waiting=40), 4, spec(maxReplicas=4), rule="bounds"),
    "MinReplicasStandWithoutStreams": Case(pool(), 2, spec(minReplicas=2), rule="bounds"),
    "TheEmptierPodDrains": Case(pool(ready("a", 3), ready("b", 1)), 2, drain=("b",)),
    "ADrainingPodWithStreamsIsKept": Case(pool(ready("a", 3), draining("b", 1, cost=DRAINING_COST)), 2),
    "ADrainedPodIsNotTakenBeforeItsCostWasSeen": Case(pool(ready("a", 3), draining("b", 0, cost=DRAINING_COST)), 2),
    "ADrainedPodGoesOnceItsCostWasSeen": Case(pool(ready("a", 3), draining("b", 0, cost=EMPTY_COST)), 1, remove=("b",)),
    "ADrainedPodThatExpectsASessionBackIsKept": Case(pool(ready("a", 3), draining("b", 0, cost=EMPTY_COST, held=1)), 2),
    "AnAnnouncedDrainThatTheWorkerDoesNotConfirmTakesNothing": Case(
        pool(
            ready("a", 3),
            ready("b", 0, draining_since_unix_seconds=NOW - 5, deletion_cost=EMPTY_COST),
        ),
        2,
    ),
    "APodThatIsDoneWaitsWhileOneThatStaysIsNotReady": Case(
        pool(ready("a", 4), coming("c"), draining("b", cost=EMPTY_COST, since=NOW - 700, status=None), waiting=4),
        3,
        spec(drainSeconds=600),
    ),
    "ADrainingPodThatLostItsContainerIsOnItsWayAgain": Case(
        pool(ready("a", 4), coming("b", draining_since_unix_seconds=NOW - 5), waiting=1), 2
    ),
    "ADrainedPodWaitsWhileAnotherStillCarriesTheSameCost": Case(
        pool(ready("a", 3, deletion_cost=EMPTY_COST), draining("b", 0, cost=EMPTY_COST)), 2
    ),
    "UnDrainComesBeforeNewPods": Case(
        pool(ready("a", 4), draining("b", 1, cost=DRAINING_COST), draining("c", 2, cost=DRAINING_COST), waiting=1),
        3,
        undrain=("c",),
    ),
    "APodBeingRemovedIsNotUnDrained": Case(
        pool(ready("a", 4), draining("b", 0, cost=EMPTY_COST), replicas=1, waiting=1), 2, remove=("b",)
    ),
    "PodsOnTheirWayAreCancelledBeforeAnyDrains": Case(pool(ready("a", 2), coming("b")), 1),
    "ANotReadyPodThatCarriesStreamsHoldsTheScaleIn": Case(
        pool(ready("a", 0), ready("b", 3, phase=PodPhase.STARTING), coming("c")), 3, rule="demand"
    ),
    "TheLastPodGoesWhenIdleForLong": Case(pool(ready("a", 0)), 1, drain=("a",)),
    "ADrainPastItsLimitIsTaken": Case(
        pool(ready("a", 1), draining("b", 2, cost=EMPTY_COST, since=NOW - 700)),
        1,
        spec(drainSeconds=600),
        remove=("b",),
    ),
    "AllNumbersMissingNeverScalesIn": Case(
        pool(silent("a"), silent("b"), gateway=GatewaySnapshot(ready_replicas=1)), 2, rule="missing data"
    ),
    "TheGatewayMissingNeverScalesIn": Case(
        pool(ready("a", 0), ready("b", 0), gateway=GatewaySnapshot(ready_replicas=1)), 2, rule="missing data"
    ),
    "ASilentPodCountsAsFullAndIsNoVictim": Case(
        pool(silent("a"), ready("b", 0), ready("c", 0)), 3, drain=("b", "c"), rule="missing data"
    ),
    "AFailingPodAmongRunningOnesIsMadeUpFor": Case(pool(ready("a", 4), failing("b"), waiting=3), 3),
    "AFailingTemplateIsNotTriedOverAndOver": Case(pool(failing("a"), failing("b"), waiting=8), 2),
    "MakingUpForFailingPodsIsBounded": Case(
        pool(ready("a", 4), failing("b"), failing("c"), failing("d"), failing("e"), waiting=3), 3
    ),
    "PausedLeavesAllAsItIs": Case(pool(ready("a", 0), ready("b", 0), waiting=30), 2, spec(paused=True)),
    "ScaleInPausedDrainsNothingAndTakesDrainingPodsBack": Case(
        pool(ready("a", 0), draining("b", 0, cost=DRAINING_COST)), 2, spec(scaleInPaused=True), undrain=("b",)
    ),
    "ARolloutIsNotScaledIn": Case(
        pool(ready("a", 0), ready("b", 0), coming("c", template_hash="t2"), replicas=2), 2, rule="hold"
    ),
    "ARolloutsSurgePodRaisesNothing": Case(
        pool(
            ready("a", 4), ready("b", 4), ready("c", 0, template_hash="t2", created_unix_seconds=NOW - 20), replicas=2
        ),
        2,
    ),
    "ARolloutThatIsStuckIsScaledInAmongTheOldPods": Case(
        pool(ready("a", 1), ready("b", 0), failing("c", template_hash="t2"), replicas=2), 2, drain=("b",)
    ),
    "ARolloutThatFindsNoNodeIsScaledInToFreeOne": Case(
        pool(
            ready("a", 1),
            ready("b", 0),
            coming("c", PodPhase.UNSCHEDULED, template_hash="t2", problem="Unschedulable: no GPU is free"),
            replicas=2,
        ),
        2,
        drain=("b",),
    ),
    "StreamsOfLeavingPodsWillWantRoom": Case(
        pool(ready("a", 0), ready("b", 0), ready("old", 8, phase=PodPhase.TERMINATING)), 2
    ),
    "CapacityOnePerPodWorks": Case(pool(waiting=3), 3, spec(1)),
    "BufferInSessionsIsKeptFree": Case(pool(waiting=4), 2, spec(buffer=1), rule="expectation"),
    "BufferInPercentIsKeptFree": Case(pool(waiting=8), 3, spec(buffer="20%"), rule="expectation"),
    "TargetUtilizationLeavesRoom": Case(pool(waiting=8), 4, spec(targetUtilization=0.5)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_decision(case: Case) -> None:
    """The situation leads to exactly this."""
    decision = decide(case.spec, case.snapshot, case.memory, NOW)

    seen = (decision.replicas, decision.drain, decision.undrain, decision.remove)
    assert seen == (case.replicas, case.drain, case.undrain, case.remove), decision.rules
    if case.rule is not None:
        assert decision.rule == case.rule


def test_every_rule_says_what_it_made_of_the_wish() -> None:
    decision = decide(spec(), pool(waiting=9), SETTLED, NOW)

    assert next(outcome.rule for outcome in decision.rules) == "demand"
    assert all(outcome.sentence for outcome in decision.rules)
    for one, following in zip(decision.rules, decision.rules[1:], strict=False):
        assert one.after == following.before
    assert decision.rules[-1].after == decision.desired_replicas


def test_what_is_not_acted_on_is_named() -> None:
    decision = decide(spec("auto", forecast={"enabled": True}), pool(), SETTLED, NOW)

    assert any(path.startswith("spec.sessions.perPod") for path in decision.not_acted_on)
    assert "spec.scaling.forecast" in decision.not_acted_on


@pytest.mark.parametrize(
    ("model", "engine", "told"),
    [
        ("paraformer-zh-streaming", "onnx", True),
        ("iic/some-model", "onnx", True),
        ("/models/online", "onnx", False),
        ("./models/online", "onnx", False),
        ("paraformer-zh-streaming", "torch", False),
    ],
)
def test_a_models_name_is_nothing_that_the_onnx_engine_can_load(model: str, engine: str, told: bool) -> None:
    made = parse({"metadata": {"name": "p"}, "spec": {"models": {"online": model}, "worker": {"engine": engine}}}).spec
    said = decide(made, pool(), SETTLED, NOW).not_acted_on

    assert any("engine onnx" in sentence for sentence in said) is told


@pytest.mark.parametrize("part", ["vad", "punc", "speaker"])
def test_every_model_is_looked_at(part: str) -> None:
    models = {"online": "/models/online", "offline": "/models/offline", part: "a-name"}
    made = parse({"metadata": {"name": "p"}, "spec": {"models": models}}).spec
    (sentence,) = decide(made, pool(), SETTLED, NOW).not_acted_on

    assert "engine onnx" in sentence


@pytest.mark.parametrize(("recogniser", "told"), [("offline", False), ("online", True)])
@pytest.mark.parametrize("further", [{"punc": "/b"}, {"speaker": "/c"}, {"itn": True}])
def test_further_models_and_figures_act_on_finals(recogniser: str, told: bool, further: dict[str, Any]) -> None:
    models = {recogniser: "/a", **further}
    made = parse({"metadata": {"name": "p"}, "spec": {"models": models, "worker": {"dtype": "int8"}}}).spec
    said = decide(made, pool(), SETTLED, NOW).not_acted_on

    assert any("without spec.models.offline" in sentence for sentence in said) is told
    assert len(said) == told


def test_a_restarted_operator_scales_in_only_after_a_whole_window() -> None:
    snapshot = pool(ready("a", 0), ready("b", 0), ready("c", 1))

    assert decide(spec(), snapshot, Memory(), NOW).drain == ()
    assert decide(spec(), snapshot, Memory(), NOW).rule == "stabilization"


def test_deletion_costs_follow_the_drain() -> None:
    snapshot = pool(ready("a", 1), draining("b", 2), draining("c", 0), draining("d", 0, cost=EMPTY_COST))
    decision = decide(spec(), snapshot, SETTLED, NOW)

    assert decision.deletion_costs == {"b": DRAINING_COST, "c": EMPTY_COST}


def test_an_undrained_pods_cost_is_taken_back() -> None:
    decision = decide(spec(), pool(ready("a", 4), draining("b", 1, cost=DRAINING_COST), waiting=2), SETTLED, NOW)

    assert decision.undrain == ("b",)
    assert decision.deletion_costs == {"b": 0}
