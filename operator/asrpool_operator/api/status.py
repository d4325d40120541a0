"""`status` of an ASRPool: what people and tools read of a pool."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from asrpool_operator.api.base import Group


class ConditionStatus(StrEnum):
    """A condition's three values."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Group):
    """A `metav1.Condition`."""

    type: str
    """Ready, Progressing, ScalingLimited, MetricsAvailable, Draining or FullySupported."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: str
    """One word for machines."""
    message: str | None = None
    """One sentence for people."""
    last_transition_time: str = Field(json_schema_extra={"format": "date-time"})
    """When `status` last changed."""
    observed_generation: int | None = None
    """The generation of the spec that this was said of."""


class LastDecision(Group):
    """The last decision that changed the number of pods."""

    from_: int = Field(alias="from")
    """Replicas before."""
    to: int
    """Replicas after."""
    rule: str | None = None
    """The rule that decided."""
    reason: str | None = None
    """Why, in a sentence."""
    time: str = Field(json_schema_extra={"format": "date-time"})
    """When."""
    inputs: dict[str, float] = Field(default_factory=dict)
    """What it was decided on."""


class Cost(Group):
    """What the pool costs now; shown where `scaling.budget` states a price."""

    per_hour: float
    """Price of the pods that there are now, for an hour."""
    currency: str
    """ISO 4217 code."""


class ASRPoolStatus(Group):
    """What the operator saw and decided last."""

    observed_generation: int | None = None
    """The generation of the spec that this status was made from."""
    replicas: int | None = None
    """Worker pods that there are, without those that were told to go."""
    ready_replicas: int | None = None
    """Worker pods that are ready."""
    draining_replicas: int | None = None
    """Worker pods that take no newcomers and go when they are empty."""
    desired_replicas: int | None = None
    """Worker pods that the rules ask for."""
    sessions: int | None = None
    """Live streams."""
    queued: int | None = None
    """Streams that wait at the gateway."""
    sessions_per_pod: float | None = None
    """Sessions that one pod is reckoned to hold now."""
    latency_milliseconds: float | None = None
    """The worst pod's latency at the percentile asked for."""
    selector: str | None = None
    """Label selector of the worker pods."""
    last_decision: LastDecision | None = None
    """The last decision that changed the number of pods."""
    cost: Cost | None = None
    """What the pool costs now."""
    conditions: tuple[Condition, ...] | None = None
    """Ready, Progressing, ScalingLimited, MetricsAvailable, Draining, FullySupported."""
