"""Which sessions go into the next step: pure, no clock, no tensors.

Each session has at most one job ready. A job's deadline is when it became ready plus its stage's patience, so partials
come before second passes that became ready at the same time, while nothing waits for ever: an old job's deadline comes
first in the end. The job with the earliest deadline decides stage and shape of the batch; others of the same stage and
shape join it in the order of their deadlines.

A session that sends faster than real time gains nothing: its next chunk is ready only when its previous one is done.
A step cannot be interrupted, so second passes share one only up to a number of frames: partials wait for no more than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

StreamKey = TypeVar("StreamKey")


class Stage(StrEnum):
    """The kinds of model step, named as in the metrics."""

    VAD = "vad"
    ONLINE = "online"
    OFFLINE = "offline"
    SPEAKER = "speaker"
    PUNC = "punc"


PATIENCE_SECONDS: Mapping[Stage, float] = {
    Stage.VAD: 0.05,
    Stage.ONLINE: 0.1,
    Stage.OFFLINE: 0.3,
    Stage.SPEAKER: 0.3,
    Stage.PUNC: 0.2,
}


MAX_STEP_FRAMES: Mapping[Stage, int] = {Stage.OFFLINE: 1_000}
"""Rows times the longest row's frames, padding included; a longer row runs alone. The other stages' rows are short."""


@dataclass(frozen=True)
class Job(Generic[StreamKey]):
    """A session's next piece of model work. Only jobs of one stage and bucket may share a step. `frames`: as its model reads them."""

    stream: StreamKey
    stage: Stage
    bucket: object
    ready_seconds: float
    frames: int = 0

    @property
    def deadline_seconds(self) -> float:
        """When this job should have begun."""
        return self.ready_seconds + PATIENCE_SECONDS[self.stage]


def next_batch(jobs: Iterable[Job[StreamKey]], max_rows: Mapping[Stage, int]) -> list[Job[StreamKey]]:
    """The jobs to run together now, earliest deadline first; empty when there are none."""
    ordered = sorted(jobs, key=lambda job: job.deadline_seconds)
    if not ordered:
        return []
    first = ordered[0]
    fitting = [job for job in ordered if job.stage is first.stage and job.bucket == first.bucket]
    return _bounded(fitting[: max_rows[first.stage]], MAX_STEP_FRAMES.get(first.stage))


def _bounded(jobs: list[Job[StreamKey]], max_frames: int | None) -> list[Job[StreamKey]]:
    """The first of `jobs`, and as many after it as may share its step."""
    if max_frames is None:
        return jobs
    longest = 0
    for count, job in enumerate(jobs):
        longest = max(longest, job.frames)
        if count and (count + 1) * longest > max_frames:
            return jobs[:count]
    return jobs


def oldest_ready(jobs: Iterable[Job[StreamKey]]) -> float | None:
    """When the job that has waited longest became ready."""
    return min((job.ready_seconds for job in jobs), default=None)
