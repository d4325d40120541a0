"""A Kubernetes and admin ports in memory: small, behind the operator's own protocols, with failures on demand."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asrpool_operator.cluster.protocol import (
    FIELD_MANAGER,
    POOL_LABEL,
    SCALE_FIELD_MANAGER,
    Manifest,
    ObjectRef,
    ref_of,
)
from asrpool_operator.errors import (
    ClusterError,
    ClusterUnavailableError,
    ConflictError,
    NotFoundError,
    WorkerUnreachableError,
)
from asrpool_operator.scrape.answers import GatewayCounts
from asrpool_operator.snapshot import WorkerStatus

GENERATED = frozenset({"ASRPool", "Deployment", "StatefulSet", "PodDisruptionBudget", "Ingress"})


class FakeCluster:
    """`Cluster` and `PoolView` over a dictionary. `calls` holds every write as (verb, address)."""

    def __init__(self) -> None:
        self.stored: dict[ObjectRef, Manifest] = {}
        self.calls: list[tuple[str, str]] = []
        self.events: list[Manifest] = []
        self.unavailable = False
        self.live = True
        self.refuse: Callable[[str, ObjectRef], ClusterError | None] = lambda _verb, _ref: None
        self._versions = itertools.count(1)

    # -- Cluster

    async def get(self, ref: ObjectRef) -> Manifest:
        self._answer("get", ref)
        return copy.deepcopy(self._there(ref))

    async def apply(self, manifest: Manifest) -> Manifest:
        ref = ref_of(manifest)
        self._write("apply", ref)
        before = self.stored.get(ref)
        after = copy.deepcopy(manifest)
        if ref.kind == "Deployment":
            self._settle_replicas(before, after)
        return copy.deepcopy(self._store(ref, before, after))

    async def create(self, manifest: Manifest) -> Manifest:
        ref = ref_of(manifest)
        self._write("create", ref)
        if ref.kind == "Event":
            self.events.append(copy.deepcopy(manifest))
            return manifest
        if ref in self.stored:
            raise ConflictError(f"{ref} exists")
        return copy.deepcopy(self._store(ref, None, copy.deepcopy(manifest)))

    async def replace(self, manifest: Manifest) -> Manifest:
        ref = ref_of(manifest)
        self._write("replace", ref)
        before = self._there(ref)
        if manifest["metadata"].get("resourceVersion") != before["metadata"]["resourceVersion"]:
            raise ConflictError(f"{ref} has moved on")
        return copy.deepcopy(self._store(ref, before, copy.deepcopy(manifest)))

    async def delete(self, ref: ObjectRef, uid: str) -> None:
        self._write("delete", ref)
        if ref in self.stored and self.stored[ref]["metadata"]["uid"] == uid:
            del self.stored[ref]

    async def scale(self, ref: ObjectRef, replicas: int) -> None:
        self._write("scale", ref)
        before = self._there(ref)
        after = copy.deepcopy(before)
        if before["spec"].get("replicas") != replicas:
            after["spec"]["replicas"] = replicas
            after["metadata"]["managedFields"] = [_owner(SCALE_FIELD_MANAGER, "Update", replicas=True)]
        self._store(ref, before, after)

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> None:
        self._write("annotate", ref)
        before = self._there(ref)
        after = copy.deepcopy(before)
        kept = after["metadata"].setdefault("annotations", {})
        for key, value in annotations.items():
            kept.pop(key, None)
            if value is not None:
                kept[key] = value
        self._store(ref, before, after)

    async def patch_status(self, ref: ObjectRef, status: Mapping[str, Any], uid: str) -> None:
        self._write("patch_status", ref)
        before = self._there(ref)
        if before["metadata"]["uid"] != uid:
            raise ConflictError(f"{ref} has another uid")
        after = copy.deepcopy(before)
        kept = after.setdefault("status", {})
        for key, value in status.items():
            kept.pop(key, None)
            if value is not None:
                kept[key] = value
        self._store(ref, before, after)

    # -- PoolView

    def objects(self, kind: str, namespace: str, pool: str) -> Sequence[Manifest]:
        return [
            copy.deepcopy(manifest)
            for ref, manifest in sorted(self.stored.items(), key=lambda item: str(item[0]))
            if ref.kind == kind
            and ref.namespace == namespace
            and (manifest["metadata"].get("labels") or {}).get(POOL_LABEL) == pool
        ]

    # -- for tests

    def put(self, manifest: Manifest) -> Manifest:
        """Store an object as somebody other than the operator."""
        ref = ref_of(manifest)
        return self._store(ref, self.stored.get(ref), copy.deepcopy(manifest))

    def one(self, kind: str, name: str, namespace: str = "default") -> Manifest:
        return self._there(ObjectRef(kind, namespace, name))

    def writes(self, *, but: Sequence[str] = ("patch_status",)) -> list[str]:
        """Every write so far, in order, as "verb Kind name"."""
        return [f"{verb} {what}" for verb, what in self.calls if verb not in but]

    # -- inside

    def _there(self, ref: ObjectRef) -> Manifest:
        if ref not in self.stored:
            raise NotFoundError(f"{ref} is not there")
        return self.stored[ref]

    def _write(self, verb: str, ref: ObjectRef) -> None:
        self._answer(verb, ref)
        self.calls.append((verb, f"{ref.kind} {ref.name}"))

    def _answer(self, verb: str, ref: ObjectRef) -> None:
        if self.unavailable:
            raise ClusterUnavailableError("no answer")
        refusal = self.refuse(verb, ref)
        if refusal is not None:
            raise refusal

    def _settle_replicas(self, before: Manifest | None, after: Manifest) -> None:
        """Server-side apply's rule: a field nobody owns any more falls back to its default."""
        said = "replicas" in after["spec"]
        owners = [] if before is None else before["metadata"].get("managedFields", [])
        others = [
            owner
            for owner in owners
            if owner["manager"] != FIELD_MANAGER and "f:replicas" in owner["fieldsV1"]["f:spec"]
        ]
        if not said:
            after["spec"]["replicas"] = before["spec"]["replicas"] if before is not None and others else 1
        after["metadata"]["managedFields"] = [*others, _owner(FIELD_MANAGER, "Apply", replicas=said)]

    def _store(self, ref: ObjectRef, before: Manifest | None, after: Manifest) -> Manifest:
        metadata = after["metadata"]
        old = {} if before is None else before["metadata"]
        metadata["uid"] = old.get("uid") or metadata.get("uid") or f"uid-{next(self._versions)}"
        metadata.setdefault("creationTimestamp", old.get("creationTimestamp", "2026-01-01T00:00:00Z"))
        if ref.kind in GENERATED:
            changed = before is None or before.get("spec") != after.get("spec")
            metadata["generation"] = int(old.get("generation", 0)) + changed
        for key in ("status",):
            if before is not None and key in before and key not in after:
                after[key] = before[key]
        if before is None or _content(before) != _content(after):
            metadata["resourceVersion"] = str(next(self._versions))
        else:
            metadata["resourceVersion"] = old["resourceVersion"]
        self.stored[ref] = after
        return after


def _content(manifest: Manifest) -> Manifest:
    rest = copy.deepcopy(manifest)
    rest["metadata"].pop("resourceVersion", None)
    return rest


def _owner(manager: str, operation: str, *, replicas: bool) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "fieldsV1": {"f:spec": {"f:replicas": {}} if replicas else {}},
    }


@dataclass
class FakeWorker:
    """One worker behind an admin port."""

    active: int = 0
    capacity: int = 4
    configured: int = 4
    draining: bool = False
    held_ids: int = 0
    ages: tuple[float, ...] = ()
    reachable: bool = True


@dataclass
class FakePorts:
    """`AdminPorts` over dictionaries, by address. `calls` holds every POST."""

    clock: Callable[[], float]
    workers: dict[str, FakeWorker] = field(default_factory=dict)
    gateways: dict[str, GatewayCounts] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    token: str | None = None

    async def status(self, ip: str, token: str, *, percentile: float, window_seconds: int) -> WorkerStatus:
        assert percentile
        assert window_seconds
        return self._of(ip, token)

    async def drain(self, ip: str, token: str) -> WorkerStatus:
        self._of(ip, token)
        self.calls.append(f"drain {ip}")
        self.workers[ip].draining = True
        return self._of(ip, token)

    async def undrain(self, ip: str, token: str) -> WorkerStatus:
        self._of(ip, token)
        self.calls.append(f"undrain {ip}")
        self.workers[ip].draining = False
        return self._of(ip, token)

    async def set_capacity(self, ip: str, token: str, sessions: int) -> WorkerStatus:
        self._of(ip, token)
        self.calls.append(f"capacity {ip} {sessions}")
        self.workers[ip].capacity = sessions
        return self._of(ip, token)

    async def held(self, ip: str) -> GatewayCounts:
        if ip not in self.gateways:
            raise WorkerUnreachableError(f"{ip} does not answer")
        return self.gateways[ip]

    def _of(self, ip: str, token: str) -> WorkerStatus:
        worker = self.workers.get(ip)
        if worker is None or not worker.reachable or (self.token is not None and token != self.token):
            raise WorkerUnreachableError(f"{ip} does not answer")
        return WorkerStatus(
            scraped_unix_seconds=self.clock(),
            active=worker.active,
            capacity=worker.capacity,
            configured_capacity=worker.configured,
            draining=worker.draining,
            held_ids=worker.held_ids,
            ages_seconds=worker.ages,
        )
