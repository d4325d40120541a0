"""What workers and gateways answer, turned into the snapshot's words.

An answer that does not fit is the same as none (`WorkerUnreachableError`): a count that was misread could remove a
pod that still talks.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asrpool_operator.errors import WorkerUnreachableError
from asrpool_operator.snapshot import WorkerStatus


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # a newer worker may say more


class _Sessions(_Answer):
    active: int = Field(ge=0)
    capacity: int = Field(ge=0)
    configured_capacity: int = Field(ge=1)
    ages_seconds: tuple[float, ...] = ()
    held_ids: int = Field(default=0, ge=0)


class _Latency(_Answer):
    partial_ms: float | None = None
    final_ms: float | None = None
    samples: int = 0
    partial_samples: int | None = None
    final_samples: int | None = None


class _Ended(_Answer):
    count: int = 0
    seconds_sum: float = 0.0
    seconds_sq_sum: float = 0.0


class _WorkerAnswer(_Answer):
    draining: bool
    sessions: _Sessions
    latency: _Latency = _Latency()
    ended: _Ended = _Ended()
    lag_seconds: float = 0.0


class GatewayCounts(_Answer):
    """One gateway pod's `/held`."""

    held: int = Field(ge=0)
    queued: int = Field(ge=0)
    refused: int = Field(ge=0)


def worker_status(answer: object, now: float) -> WorkerStatus:
    """`GET /status`, `POST /drain` and `POST /undrain` all answer this."""
    try:
        said = _WorkerAnswer.model_validate(answer)
    except ValidationError as error:
        raise WorkerUnreachableError(f"the worker's /status does not fit the contract: {_first(error)}") from error
    return WorkerStatus(
        scraped_unix_seconds=now,
        active=said.sessions.active,
        capacity=said.sessions.capacity,
        configured_capacity=said.sessions.configured_capacity,
        draining=said.draining,
        ages_seconds=said.sessions.ages_seconds,
        held_ids=said.sessions.held_ids,
        partial_ms=said.latency.partial_ms,
        final_ms=said.latency.final_ms,
        latency_samples=said.latency.samples,
        partial_samples=said.latency.partial_samples,
        final_samples=said.latency.final_samples,
        lag_seconds=said.lag_seconds,
        ended_count=said.ended.count,
        ended_seconds_sum=said.ended.seconds_sum,
        ended_seconds_sq_sum=said.ended.seconds_sq_sum,
    )


def gateway_counts(answer: object) -> GatewayCounts:
    """`GET /held` of one gateway pod."""
    try:
        return GatewayCounts.model_validate(answer)
    except ValidationError as error:
        raise WorkerUnreachableError(f"the gateway's /held does not fit the contract: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
