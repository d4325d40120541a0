"""What the rest of the operator may ask of a Kubernetes cluster.

Two protocols. `Cluster` makes calls and may fail with a `ClusterError`. `PoolView` reads a watched copy and never
waits: a pool's tick looks at its pods every second, which must not cost a request each. Logic above this line never
sees an HTTP client, so that its tests run against a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Manifest = dict[str, Any]
"""A Kubernetes object as JSON."""

FIELD_MANAGER = "asrpool-operator"
"""Owner, for server-side apply, of everything that is rendered from the spec."""

SCALE_FIELD_MANAGER = "asrpool-operator-scale"
"""Owner of `spec.replicas` alone: a rendered Deployment does not carry it, so an edit can never reset it."""

POOL_LABEL = "asrpool.dev/pool"


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object's address."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def ref_of(manifest: Mapping[str, Any]) -> ObjectRef:
    """The address of an object given as JSON."""
    metadata = manifest["metadata"]
    return ObjectRef(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


class Cluster(Protocol):
    """Calls to the API server. Each may raise any `ClusterError`; none is retried here: the next tick is the retry."""

    async def get(self, ref: ObjectRef) -> Manifest:
        """The object as it is now; `NotFoundError` where there is none."""
        ...

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply as `FIELD_MANAGER`, taking over fields that others hold; returns the object."""
        ...

    async def create(self, manifest: Manifest) -> Manifest:
        """Create; `ConflictError` where an object of that name exists."""
        ...

    async def replace(self, manifest: Manifest) -> Manifest:
        """Replace at `metadata.resourceVersion`; `ConflictError` where it has moved on."""
        ...

    async def delete(self, ref: ObjectRef, uid: str) -> None:
        """Delete the object with that uid; one that is gone or was made anew is left alone without an error."""
        ...

    async def scale(self, ref: ObjectRef, replicas: int) -> None:
        """Set `spec.replicas` through the scale subresource as `SCALE_FIELD_MANAGER`."""
        ...

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> None:
        """Merge annotations; `None` removes one."""
        ...

    async def patch_status(self, ref: ObjectRef, status: Mapping[str, Any], uid: str) -> None:
        """Merge-patch the status subresource of the object with that uid; `ConflictError` where it was made anew."""
        ...


class PoolView(Protocol):
    """A watched copy of what belongs to pools: everything that carries `POOL_LABEL`."""

    @property
    def live(self) -> bool:
        """Whether every watch is connected and has listed: whether what `objects` says can be acted on."""
        ...

    def objects(self, kind: str, namespace: str, pool: str) -> Sequence[Manifest]:
        """The pool's objects of a kind, without `managedFields`; metadata only for kinds watched for drift alone."""
        ...
