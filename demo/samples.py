"""What the demo saw of the cluster, twice a second, and what follows from it.

Pure: a list of `Sample`s in, counts out. The watcher (`demo.watch`) fills the list; the verdict and the live view read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class PodState(StrEnum):
    """A worker pod as a person would name it."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    ENDING = "ending"


@dataclass(frozen=True)
class PodSample:
    """One worker pod at one moment; session figures are `None` where its metrics could not be read."""

    name: str
    state: PodState
    ready: bool
    active: int | None = None
    capacity: int | None = None


@dataclass(frozen=True)
class Sample:
    """The pool at one moment, on the demo's own monotonic clock."""

    at_seconds: float
    replicas: int
    pods: tuple[PodSample, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Counts:
    """What the whole run of samples amounts to."""

    max_ready: int = 0
    final_replicas: int = 0
    over_capacity_seconds: float = 0.0
    drained_pods: int = 0
    undrained: int = 0
    unreadable_share: float = 0.0
    """How many of the looks at a ready pod's sessions, of 1, saw nothing."""
    pods_seen: frozenset[str] = field(default_factory=frozenset)


def count(samples: Sequence[Sample]) -> Counts:
    """Fold the samples, oldest first. A pod counts as over capacity from one sample to the next one."""
    if not samples:
        return Counts()
    over_seconds = 0.0
    drained: set[str] = set()
    undrained = unreadable = looks = 0
    before: dict[str, PodState] = {}
    for sample, following in zip(samples, [*samples[1:], None], strict=True):
        if following is not None and any(_over(pod) for pod in sample.pods):
            over_seconds += following.at_seconds - sample.at_seconds
        for pod in sample.pods:
            if pod.state is PodState.DRAINING:
                drained.add(pod.name)
            elif pod.state is PodState.READY and before.get(pod.name) is PodState.DRAINING:
                undrained += 1
            looks += pod.ready
            unreadable += pod.ready and pod.active is None
            before[pod.name] = pod.state
    return Counts(
        max_ready=max(sum(pod.ready for pod in sample.pods) for sample in samples),
        final_replicas=samples[-1].replicas,
        over_capacity_seconds=round(over_seconds, 2),
        drained_pods=len(drained),
        undrained=undrained,
        unreadable_share=unreadable / looks if looks else 0.0,
        pods_seen=frozenset(before),
    )


def seconds_until_replicas(samples: Sequence[Sample], from_seconds: float, above: int) -> float | None:
    """Seconds from `from_seconds` to the first later sample that wishes for more than `above` replicas."""
    for sample in samples:
        if sample.at_seconds >= from_seconds and sample.replicas > above:
            return round(sample.at_seconds - from_seconds, 2)
    return None


def _over(pod: PodSample) -> bool:
    return pod.active is not None and pod.capacity is not None and pod.active > pod.capacity
