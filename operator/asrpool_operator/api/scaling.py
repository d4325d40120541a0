"""`spec.scaling`: how many pods, when more, when fewer, and what is never done to save money."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from asrpool_operator.api.base import Group, Rule

CRON_FIELD = r"[0-9A-Za-z*/,\-]+"
BUFFER_PATTERN = r"^(100|[1-9]?[0-9])%$"


class LatencyOf(StrEnum):
    """Which of a worker's two latencies is held to the target."""

    PARTIAL = "partial"
    FINAL = "final"


class Latency(Group):
    """The latency to keep: a pod that passes it takes no newcomers until it is back."""

    percentile: float = Field(default=95, ge=50, le=99.9)
    """Which percentile of the latencies is held to the target."""
    milliseconds: int = Field(ge=1, le=60_000)
    """The target: from the arrival of the last sample needed to the reply."""
    of: LatencyOf = LatencyOf.PARTIAL
    """`partial` (while people speak) or `final` (after a sentence)."""
    window_seconds: int = Field(default=30, ge=5, le=600)
    """The stretch of time over which a worker takes the percentile."""


class Windows(Group):
    """Stretches of time that smooth or hold decisions back."""

    rules = (
        Rule(
            cel="!has(self.panicSeconds) || has(self.stableSeconds)",
            sentence="panicSeconds needs stableSeconds beside it",
            holds=lambda windows: windows.panic_seconds is None or windows.stable_seconds is not None,
            field=".panicSeconds",
        ),
        Rule(
            cel="!has(self.panicSeconds) || !has(self.stableSeconds) || self.panicSeconds <= self.stableSeconds",
            sentence="panicSeconds must not be longer than stableSeconds",
            holds=lambda windows: (
                windows.panic_seconds is None
                or windows.stable_seconds is None
                or windows.panic_seconds <= windows.stable_seconds
            ),
            field=".panicSeconds",
        ),
    )

    stable_seconds: int | None = Field(default=None, ge=6, le=3600)
    """Knative's stable window: demand is averaged over it; off by default (demand is taken as it is)."""
    panic_seconds: int | None = Field(default=None, ge=1, le=3600)
    """Knative's panic window: a burst over twice the capacity within it is followed at once."""
    scale_to_zero_seconds: int = Field(default=60, ge=0, le=86_400)
    """How long a pool must have been without any stream before its last pod goes (with minReplicas 0)."""
    cold_start_seconds: float = Field(default=60, ge=0, le=3600)
    """How long a pod takes to come, assumed until this pool's own starts are measured."""


class SelectPolicy(StrEnum):
    """Which of several policies counts, in the HPA's own words."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class PolicyType(StrEnum):
    """What a policy's value counts."""

    PODS = "Pods"
    PERCENT = "Percent"


class ScalingPolicy(Group):
    """How much may change within a period, in the HPA's own words."""

    type: PolicyType
    """Pods (a number) or Percent (of the replicas at the period's start)."""
    value: int = Field(ge=1, le=100_000)
    """The most that may be added or removed within the period."""
    period_seconds: int = Field(ge=1, le=1800)
    """The period."""


class ScalingRules(Group):
    """One direction of `behavior`, in the HPA's own words."""

    stabilization_window_seconds: int | None = Field(default=None, ge=0, le=3600)
    """Out: the lowest, in: the highest wish of this window counts. Default 0 out, 60 in."""
    select_policy: SelectPolicy = SelectPolicy.MAX
    """Max: the policy that allows most counts; Min: the one that allows least; Disabled: no change in this direction."""
    policies: tuple[ScalingPolicy, ...] = Field(default=(), max_length=16)
    """Limits on the change; none by default."""
    tolerance: float | None = Field(default=None, ge=0, le=1)
    """A wish that differs from the replicas by less than this share is not followed."""


class Behavior(Group):
    """Limits on changes, in the HPA's own words (autoscaling/v2 `behavior`)."""

    scale_up: ScalingRules = ScalingRules()
    """Limits on adding pods."""
    scale_down: ScalingRules = ScalingRules()
    """Limits on removing pods. Whatever they allow, a pod with a live stream is never removed."""


class Schedule(Group):
    """A floor and ceiling of replicas at certain times."""

    rules = (
        Rule(
            cel="has(self.minReplicas) || has(self.maxReplicas)",
            sentence="a schedule needs minReplicas, maxReplicas or both",
            holds=lambda schedule: schedule.min_replicas is not None or schedule.max_replicas is not None,
        ),
        Rule(
            cel="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            sentence="minReplicas must not be greater than maxReplicas",
            holds=lambda schedule: (
                schedule.min_replicas is None
                or schedule.max_replicas is None
                or schedule.min_replicas <= schedule.max_replicas
            ),
            field=".minReplicas",
        ),
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """What the decisions and events call it."""
    cron: Annotated[str, StringConstraints(pattern=rf"^{CRON_FIELD}( +{CRON_FIELD}){{4}}$", max_length=128)]
    """When it begins: five cron fields (minute, hour, day of month, month, day of week)."""
    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+\-/]*$", max_length=64)] = "UTC"
    """IANA time zone of the cron fields, for example `Asia/Shanghai`."""
    duration_seconds: int = Field(ge=60, le=604_800)
    """How long it lasts."""
    min_replicas: int | None = Field(default=None, ge=0, le=100_000)
    """At least this many pods while it lasts."""
    max_replicas: int | None = Field(default=None, ge=0, le=100_000)
    """At most this many pods while it lasts."""


class Forecast(Group):
    """Pods ahead of demand, from the pool's own history."""

    enabled: bool = False
    """Off by default."""
    season_seconds: int = Field(default=604_800, ge=3600, le=2_678_400)
    """The length after which history repeats: a day or a week."""
    ahead_seconds: int | None = Field(default=None, ge=1, le=86_400)
    """How far to look; the measured cold start where empty."""


class Budget(Group):
    """What the pool may cost. A live stream is never ended for it."""

    price_per_replica_hour: float = Field(ge=0, le=1_000_000)
    """What one pod costs an hour."""
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "USD"
    """ISO 4217 code shown in status."""
    max_per_hour: float | None = Field(default=None, ge=0)
    """The most an hour may cost."""
    max_per_day: float | None = Field(default=None, ge=0)
    """The most a day may cost."""
    max_per_month: float | None = Field(default=None, ge=0)
    """The most a month may cost."""


class Scaling(Group):
    """How many pods the pool has."""

    rules = (
        Rule(
            cel="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            sentence="minReplicas must not be greater than maxReplicas",
            holds=lambda scaling: scaling.min_replicas <= scaling.max_replicas,
            field=".minReplicas",
        ),
        Rule(
            cel="!has(self.schedules) || !has(self.maxReplicas) || self.schedules.all(s, !has(s.minReplicas) || s.minReplicas <= self.maxReplicas)",
            sentence="minReplicas of a schedule must not be greater than scaling.maxReplicas",
            holds=lambda scaling: all(
                schedule.min_replicas is None or schedule.min_replicas <= scaling.max_replicas
                for schedule in scaling.schedules
            ),
            field=".schedules",
        ),
        Rule(
            cel="!has(self.schedules) || self.schedules.all(s, self.schedules.exists_one(t, t.name == s.name))",
            sentence="each schedule needs a name of its own",
            holds=lambda scaling: len({schedule.name for schedule in scaling.schedules}) == len(scaling.schedules),
            field=".schedules",
        ),
    )

    min_replicas: int = Field(default=1, ge=0, le=100_000)
    """At least this many pods. With 0 the gateway holds the first streams while a pod starts. `kubectl scale` sets it."""
    max_replicas: int = Field(default=10, ge=1, le=100_000)
    """At most this many pods. Streams beyond what they hold are queued, then refused."""
    target_utilization: float = Field(default=1.0, ge=0.1, le=1)
    """The share of a pod's capacity that is reckoned with; what chance may add is kept free on top of it anyway."""
    buffer: Annotated[
        Annotated[int, Field(ge=0, strict=True)] | Annotated[str, StringConstraints(pattern=BUFFER_PATTERN)],
        Field(json_schema_extra={"x-kubernetes-int-or-string": True, "pattern": BUFFER_PATTERN, "minimum": 0}),
    ] = 0
    """Room kept free on top of what is expected: a number of sessions, or a share of the demand as `20%`."""
    latency: Latency | None = None
    """A latency target; without one only sessions count."""
    windows: Windows = Windows()
    """Stretches of time that smooth or hold decisions back."""
    behavior: Behavior = Behavior()
    """Limits on changes, in the HPA's own words."""
    schedules: tuple[Schedule, ...] = Field(default=(), max_length=32)
    """Floors and ceilings at certain times."""
    forecast: Forecast | None = None
    """Pods ahead of demand, from the pool's own history."""
    budget: Budget | None = None
    """What the pool may cost."""
    drain_seconds: int = Field(default=14_400, ge=1, le=604_800)
    """How long live streams of a pod that has to go may last; after that they are cut. The pods' terminationGracePeriodSeconds."""
    paused: bool = False
    """Leave the number of pods as it is."""
    scale_in_paused: bool = False
    """Add pods, but take none away."""
