"""Which sessions go into the next step: pure, no clock, no tensors.

Each session has at most one job ready. A job's deadline is when it became ready plus its stage's patience, so partials
come before second passes that became ready at the same time, while nothing waits for ever: an old job's deadline comes
first in the end. The job with the earliest deadline decides stage and shape of the batch; others of the same stage and
shape join it in the order of their deadlines.

A session that sends faster than real time gains nothing: its next chunk is ready only when its previous one is done.
A step cannot be interrupted, so it holds only as much as `pace` has seen this machine work off in a moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from asrpool_worker.engine.pace import STEP_BUDGET_SECONDS, Pace

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


FIRST_STEP_FRAMES = 1_000
"""Rows times the longest row's frames, padding included, while it is not known yet how long such a step takes."""


@dataclass(frozen=True)
class Job(Generic[StreamKey]):
    """A session's next piece of model work. Only jobs of one stage and bucket may share a step. `frames`: as its model reads them,
    where rows differ in length. `period_seconds`: how often its live stream brings such a job.
    """

    stream: StreamKey
    stage: Stage
    bucket: object
    ready_seconds: float
    frames: int = 0
    period_seconds: float = 0.0

    @property
    def deadline_seconds(self) -> float:
        """When this job should have begun."""
        return self.ready_seconds + PATIENCE_SECONDS[self.stage]


@dataclass(frozen=True)
class Batch(Generic[StreamKey]):
    """The jobs to run together, in `wait_seconds` from now unless more become ready; no jobs when there is nothing to do."""

    jobs: list[Job[StreamKey]]
    wait_seconds: float = 0.0

    @property
    def kind(self) -> object:
        """What its pace is learnt by."""
        return self.jobs[0].stage, self.jobs[0].bucket if self.jobs[0].stage is Stage.ONLINE else None

    @property
    def units(self) -> int:
        """How large the step is: rows, or for jobs that have frames, those of all rows with padding."""
        return len(self.jobs) * max(1, *(job.frames for job in self.jobs))


def next_batch(
    jobs: Iterable[Job[StreamKey]], max_rows: Mapping[Stage, int], pace: Pace, now: float, live_streams: int = 0
) -> Batch[StreamKey]:
    """What to run, earliest deadline first. `live_streams`: those that bring a chunk for `Stage.ONLINE` in every period."""
    ordered = sorted(jobs, key=lambda job: job.deadline_seconds)
    if not ordered:
        return Batch([])
    first = ordered[0]
    fitting = [job for job in ordered if job.stage is first.stage and job.bucket == first.bucket]
    batch = Batch(fitting[: max_rows[first.stage]])
    # Behind already: nothing is gained by small steps any more, and full ones are the quickest way out.
    late = first.frames == 0 and now - first.ready_seconds > STEP_BUDGET_SECONDS
    most = math.inf if late else pace.most_units(batch.kind)
    if first.frames:
        most = min(most, FIRST_STEP_FRAMES) if most == math.inf else most
    batch = Batch(_bounded(batch.jobs, most))
    if first.stage is not Stage.ONLINE or len(batch.jobs) < len(ordered):
        return batch
    wait = pace.wait_seconds(batch.kind, max(0, live_streams - len(ordered)), first.period_seconds)
    return Batch(batch.jobs, max(0.0, first.ready_seconds + wait - now))


def _bounded(jobs: list[Job[StreamKey]], most_units: float) -> list[Job[StreamKey]]:
    """The first of `jobs`, and as many after it as may share its step."""
    longest = 1
    for count, job in enumerate(jobs):
        longest = max(longest, job.frames)
        if count and (count + 1) * longest > most_units:
            return jobs[:count]
    return jobs


def oldest_ready(jobs: Iterable[Job[StreamKey]]) -> float | None:
    """When the job that has waited longest became ready."""
    return min((job.ready_seconds for job in jobs), default=None)
