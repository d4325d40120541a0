"""Who leads: the rules of a coordination.k8s.io Lease, without I/O.

The rules are those of client-go's leader election. A lease's own `renewTime` is never compared with our clock: the
clocks of two nodes may differ by more than the lease lasts. What counts is for how long WE have seen the lease not
change (`LeaseSeen.since`, on our own monotonic clock).

Safety comes from one inequality: a leader stops acting `renew_deadline_seconds` after its last renewal was SENT, and
nobody takes the lease before `lease_seconds` after that renewal was SEEN; the first is shorter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from asrpool_operator.cluster.protocol import Manifest, ObjectRef


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """How long a lease holds, how long its holder trusts it without a renewal, how often it is looked at."""

    lease_seconds: float = 10.0
    renew_deadline_seconds: float = 7.0
    retry_seconds: float = 1.5

    def __post_init__(self) -> None:
        if not 0 < self.retry_seconds < self.renew_deadline_seconds < self.lease_seconds:
            raise ValueError(
                "leader election needs retry < renew deadline < lease duration, got "
                f"{self.retry_seconds} < {self.renew_deadline_seconds} < {self.lease_seconds} seconds"
            )


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """The lease as last read, and since when (monotonic seconds) it has been seen in exactly this version."""

    holder: str
    version: str
    since: float
    lease_seconds: float
    transitions: int = 0


class Step(StrEnum):
    """What to do about the lease now."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


def next_step(seen: LeaseSeen | None, me: str, now: float) -> Step:
    """The one step this replica may try now. `None`: there is no lease object."""
    if seen is None:
        return Step.CREATE
    if seen.holder == me:
        return Step.RENEW
    if not seen.holder or now >= seen.since + seen.lease_seconds:
        return Step.TAKE
    return Step.WAIT


def is_leading(renewed_at: float | None, timing: LeaseTiming, now: float) -> bool:
    """Whether a replica that last sent a successful renewal at `renewed_at` may still act."""
    return renewed_at is not None and now < renewed_at + timing.renew_deadline_seconds


def observe(manifest: Manifest, before: LeaseSeen | None, now: float) -> LeaseSeen:
    """What was read, keeping `since` where the version has not moved."""
    spec = manifest.get("spec") or {}
    version = str(manifest["metadata"].get("resourceVersion", ""))
    unchanged = before is not None and before.version == version
    return LeaseSeen(
        holder=spec.get("holderIdentity") or "",
        version=version,
        since=before.since if before is not None and unchanged else now,
        lease_seconds=float(spec.get("leaseDurationSeconds") or 0),
        transitions=int(spec.get("leaseTransitions") or 0),
    )


def lease_manifest(
    ref: ObjectRef, holder: str, timing: LeaseTiming, seen: LeaseSeen | None, wall: datetime
) -> Manifest:
    """The Lease to write: `holder` empty gives it up. The version read makes the write fail if another was faster."""
    taken_over = seen is not None and seen.holder != holder and holder != ""
    transitions = 0 if seen is None else seen.transitions + (1 if taken_over else 0)
    stamp = wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec: dict[str, Any] = {
        "holderIdentity": holder,
        # The API wants whole seconds; a released lease must not make the next one wait.
        "leaseDurationSeconds": max(1, round(timing.lease_seconds)) if holder else 1,
        "renewTime": stamp,
        "acquireTime": stamp,
        "leaseTransitions": transitions,
    }
    metadata: dict[str, Any] = {"name": ref.name, "namespace": ref.namespace}
    if seen is not None:
        metadata["resourceVersion"] = seen.version
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
