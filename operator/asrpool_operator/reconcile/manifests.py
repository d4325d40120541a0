"""When to apply what was rendered, and what to delete because it no longer is. Pure.

Applying is level-triggered but not done every tick: only when the rendered objects differ from those applied last,
when one of them was changed or deleted by somebody else, and now and then in any case.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asrpool_operator.cluster.protocol import FIELD_MANAGER, Manifest, ObjectRef, ref_of

APPLY_AGAIN_SECONDS = 300.0
"""The longest that a change nobody could see (a kind that is not watched) stays."""

DRIFT_QUIET_SECONDS = 5.0
"""Somebody who changes an object back each time gets one answer per this long, not one per tick."""

RETRY_SECONDS = 5.0
"""How soon an apply that failed is tried again."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was applied last: which content, when, whether all of it went through, and what the objects looked like."""

    digest: str = ""
    unix_seconds: float = 0.0
    complete: bool = False
    fingerprints: Mapping[ObjectRef, str] = field(default_factory=dict)


def digest_of(manifests: Sequence[Manifest]) -> str:
    """One short name for the whole content."""
    return hashlib.sha256(json.dumps(manifests, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint(manifest: Manifest) -> str:
    """What changes when somebody changes what was applied, and does not when controllers write status.

    For the worker Deployment that is its spec without `replicas`, which the operator itself changes all the time;
    else the generation; else, for kinds without one, the resource version.
    """
    if manifest.get("kind") == "Deployment" and "spec" in manifest:
        spec = {key: value for key, value in manifest["spec"].items() if key != "replicas"}
        return digest_of([spec])
    metadata = manifest["metadata"]
    return str(metadata.get("generation") or metadata.get("resourceVersion") or "")


def why_apply(applied: Applied, digest: str, present: Iterable[Manifest], watched: set[str], now: float) -> str:
    """The reason to apply now, or an empty string. `present`: the pool's objects of the `watched` kinds as seen now."""
    age_seconds = now - applied.unix_seconds
    if applied.digest != digest:
        return "the spec or the operator's defaults changed"
    if not applied.complete:
        return "the last try failed" if age_seconds >= RETRY_SECONDS else ""
    if age_seconds >= APPLY_AGAIN_SECONDS:
        return "it is time"
    seen = {ref_of(manifest): fingerprint(manifest) for manifest in present}
    for ref, before in applied.fingerprints.items():
        if ref.kind not in watched:
            continue
        if ref not in seen:
            return f"{ref} was deleted"
        if seen[ref] != before and age_seconds >= DRIFT_QUIET_SECONDS:
            return f"{ref} was changed by somebody else"
    return ""


def orphans(present: Iterable[Manifest], rendered: Sequence[Manifest], pool_uid: str) -> list[tuple[ObjectRef, str]]:
    """Objects the pool owns that are no longer rendered (an Ingress taken out of the spec), with their uids."""
    wanted = {ref_of(manifest) for manifest in rendered}
    return [
        (ref_of(manifest), manifest["metadata"]["uid"])
        for manifest in present
        if ref_of(manifest) not in wanted and is_controlled_by(manifest, pool_uid)
    ]


def with_replicas(deployment: Manifest, live: Manifest | None, initial: int) -> Manifest:
    """The worker Deployment to apply, given the one that exists.

    A rendered Deployment says nothing of `replicas`. A new one must, or it would start with 1. From then on the field
    belongs to whoever scaled last; but as long as nobody has, our own apply is its only owner, and leaving the field
    out would hand it back to the default of 1: so it is repeated as it is.
    """
    applied = copy.deepcopy(deployment)
    if live is None:
        applied["spec"]["replicas"] = initial
    elif _owns_replicas_by_apply(live):
        applied["spec"]["replicas"] = live["spec"]["replicas"]
    return applied


def _owns_replicas_by_apply(live: Manifest) -> bool:
    entries: Iterable[dict[str, Any]] = live["metadata"].get("managedFields") or []
    return any(
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in entries
    )


def is_controlled_by(manifest: Manifest, uid: str) -> bool:
    """Whether the object's controlling owner is the one with that uid."""
    owners = manifest["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == uid and owner.get("controller") for owner in owners)
