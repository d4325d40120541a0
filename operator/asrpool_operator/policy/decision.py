"""What was decided for one pool, and why: the whole output of `decide()`.

`desired_replicas` is what the rules ask for. `replicas` is what the Deployment is set to: never below the pods that
still carry streams, so the two differ while pods drain. `memory` is handed back to the next call; losing it (an
operator restart) costs precision for some seconds, never a stream.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RuleOutcome(_Frozen):
    """One rule's step: what it was given, what it made of it, in one sentence for people."""

    rule: str
    before: int
    after: int
    sentence: str


class DemandPoint(_Frozen):
    """Demand (live + held + queued sessions) at one moment."""

    unix_seconds: float
    sessions: int


class Recommendation(_Frozen):
    """A past wish, kept for stabilization windows and rate policies."""

    unix_seconds: float
    replicas: int


class ReplicaChange(_Frozen):
    """Pods added (positive) or sent to drain (negative) at one moment; what `behavior` policies count."""

    unix_seconds: float
    delta: int


class Memory(_Frozen):
    """What one decision leaves to the next. Bounded; every field has a meaning when empty."""

    demand: tuple[DemandPoint, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    """A step function: each holds until the next."""
    changes: tuple[ReplicaChange, ...] = ()
    began_unix_seconds: float | None = None
    """The first decision's time: of a pod that was made before it nobody saw how it came."""
    cold_starts_seconds: tuple[float, ...] = ()
    known_ready: tuple[str, ...] = ()
    """Pods whose cold start was already counted."""
    learnt_sessions_per_pod: float | None = None
    learnt_unix_seconds: float | None = None
    hot_pods: tuple[str, ...] = ()
    mean_session_seconds: float | None = None
    """The mean length that this pool's sessions had when enough of them had ended."""
    last_busy_unix_seconds: float | None = None
    """When the pool last had a stream, or first was seen without one; what going to zero waits for."""


class Decision(_Frozen):
    """What to do now. `rules` holds every rule's outcome in order; `rule` and `reason` name the one that decided."""

    unix_seconds: float = 0.0
    """When it was decided."""
    desired_replicas: int = Field(ge=0)
    replicas: int = Field(ge=0)
    rule: str
    reason: str
    rules: tuple[RuleOutcome, ...] = ()
    drain: tuple[str, ...] = ()
    """Pods that stop taking newcomers from now on."""
    undrain: tuple[str, ...] = ()
    """Draining pods that take newcomers again."""
    remove: tuple[str, ...] = ()
    """Drained, empty pods, nobody expected back: `replicas` is lowered by their number, their deletion cost is lowest."""
    deletion_costs: dict[str, int] = Field(default_factory=dict)
    """The pod-deletion-cost each pod has to carry, where that differs from what was seen."""
    capacities: dict[str, int] = Field(default_factory=dict)
    """Sessions each pod may admit from now on, where that differs from what it says now."""
    sessions: int = 0
    queued: int = 0
    sessions_per_pod: float = 1.0
    metrics_available: bool = True
    limited: str = ""
    """Why the wish could not be followed whole ("maxReplicas 4", "behavior.scaleUp", …); empty if it could."""
    not_acted_on: tuple[str, ...] = ()
    """Spec fields that are accepted but that this version does not act on yet."""
    inputs: dict[str, float] = Field(default_factory=dict)
    memory: Memory = Memory()
