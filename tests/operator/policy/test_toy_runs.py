"""Decisions one after another, on a pool that does what they say: no stream is ever in danger, whatever comes."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
import yaml

from asrpool_operator.api import ASRPoolSpec, parse
from asrpool_operator.policy import Memory
from tests.operator.policy.builders import spec
from tests.operator.policy.toy import ToyPool

EXAMPLE = Path(__file__).parents[3] / "examples" / "asrpool.yaml"
DEMO = ((0, 3), (1, 14), (12, 40), (3, 15), (12, 30), (0, 60))
"""Live streams wanted, and for how many seconds: what `make demo` does."""


def example() -> ASRPoolSpec:
    return parse(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))).spec


def poisson(per_second: float, rng: random.Random) -> int:
    limit, product, count = math.exp(-per_second), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def lengths(count: int, mean_seconds: float, rng: random.Random) -> list[float]:
    return [rng.lognormvariate(math.log(mean_seconds) - 0.5, 1.0) for _ in range(count)]


def unharmed(pool: ToyPool) -> bool:
    return pool.cut == 0 and pool.busy_taken == []


def test_the_demos_ramp() -> None:
    """Held at zero, out for the crowd, drained when most leave, un-drained when they come back, and down to zero."""
    pool, most, at_the_ebb = ToyPool(example(), start_seconds=4.0), 0, 99
    for wanted, seconds in DEMO:
        for second in range(seconds):
            there = pool.live() + len(pool.waiting)
            if wanted < there:
                # Those leave that came last to each pod: whoever stays, stays on a pod of its own.
                running = [(place, session) for pod in pool.pods for place, session in enumerate(pod.sessions)]
                running.sort(key=lambda placed: -placed[0])
                for _, session in running[: there - wanted]:
                    session.length_seconds = pool.now - (session.started or pool.now)
            pool.step([math.inf] * max(0, wanted - there))
            most = max(most, len(pool.standing()))
            if wanted == 3 and second == seconds - 1:
                at_the_ebb = sum(not pod.draining for pod in pool.standing())

    assert unharmed(pool)
    assert pool.refused == 0
    assert most == 4
    assert at_the_ebb <= 2
    assert pool.undrained > 0
    assert pool.pods == []
    assert pool.replicas == 0


def test_constant_load_is_left_in_peace() -> None:
    """The same stream every two seconds for the same time: after the start nothing changes any more."""
    pool = ToyPool(spec(20), start_seconds=60.0)
    pool.run(2400, {second: [180.0] for second in range(0, 2400, 2)})
    settled, replicas = pool.changes, pool.replicas
    pool.run(1800, {second: [180.0] for second in range(0, 1800, 2)})

    assert pool.changes == settled
    assert replicas == pool.replicas == math.ceil((90 + 2 * math.sqrt(2 * 90 * (1 - math.exp(-60 / 180)))) / 20)


def test_a_flash_crowd_is_followed_and_given_back() -> None:
    """Ten times the streams within seconds; minutes after it the pods are gone, and no stream was touched."""
    rng = random.Random(3)
    pool = ToyPool(spec(20, minReplicas=1, maxReplicas=50), start_seconds=60.0)
    rates = {second: 2.0 if 900 <= second < 1200 else 0.2 for second in range(3000)}
    pool.run(3000, {second: lengths(poisson(rate, rng), 180, rng) for second, rate in rates.items()})
    peak = max(decision.desired_replicas for decision in pool.decisions)

    assert unharmed(pool)
    assert peak >= 15
    assert pool.decisions[-1].desired_replicas <= 5
    # A minute of the crowd's 120 streams finds the room of before; hardly more than those may be refused.
    assert pool.refused < 120


@pytest.mark.parametrize("seed", range(6))
def test_no_stream_is_touched_by_noise_restarts_and_blindness(seed: int) -> None:
    """Random levels, an operator that forgets everything now and then, and scrapes that fail for a while."""
    rng = random.Random(seed)
    pool = ToyPool(
        spec(
            rng.choice([1, 4, 20]),
            minReplicas=rng.choice([0, 1, 3]),
            maxReplicas=60,
            windows={"scaleToZeroSeconds": rng.choice([0, 30])},
            behavior={"scaleDown": {"stabilizationWindowSeconds": rng.choice([0, 5, 60])}},
            latency={"milliseconds": 800},
        ),
        start_seconds=rng.choice([1.0, 8.0, 40.0]),
    )
    rate = 0.0
    for second in range(1500):
        if second % 100 == 0:
            rate = rng.choice([0.0, 0.05, 0.3, 1.0])
            pool.blind = rng.random() < 0.2
            if rng.random() < 0.3:
                pool.memory = Memory()
        pool.step(lengths(poisson(rate, rng), 40, rng))

    assert unharmed(pool)


def test_blind_for_minutes_nothing_is_taken_away() -> None:
    """Scrapes fail while the streams end: the pods stay until numbers are back, then they go."""
    pool = ToyPool(spec(4, windows={"scaleToZeroSeconds": 10}), start_seconds=3.0)
    pool.run(60, {0: [50.0] * 12})
    replicas = pool.replicas
    pool.blind = True
    pool.run(300)
    assert pool.replicas == replicas >= 3

    pool.blind = False
    pool.run(120)
    assert pool.replicas == 0
    assert unharmed(pool)


def test_a_pod_that_was_asked_for_is_let_come() -> None:
    """A pod takes longer to come than the gateway holds its first stream: it still comes, for the next try."""
    pool = ToyPool(spec(4, windows={"scaleToZeroSeconds": 5, "coldStartSeconds": 40}), start_seconds=40.0)
    pool.run(42, {0: [20.0]})
    assert pool.refused == 1
    pool.step([20.0])
    pool.run(90)

    assert (pool.served, pool.refused) == (1, 1)
    assert pool.replicas == 0


def test_on_and_off_un_drains() -> None:
    """Traffic that comes back while pods drain finds them again before new ones start."""
    pool = ToyPool(spec(4, behavior={"scaleDown": {"stabilizationWindowSeconds": 0}}), start_seconds=8.0)
    pool.run(50, {0: [600.0, 30.0, 30.0, 30.0] * 3})
    pool.run(10)
    drained = {pod.name for pod in pool.pods if pod.draining}
    assert drained
    pool.run(10, {0: [100.0] * 6})

    assert pool.undrained > 0
    assert drained <= {pod.name for pod in pool.standing() if not pod.draining}
    assert unharmed(pool)
