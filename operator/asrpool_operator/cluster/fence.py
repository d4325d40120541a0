"""A `Cluster` that only a leader can change.

Every write asks the fence at the last moment, so that a replica which lost the lease in the middle of a tick (a long
pause, a network cut) stops between two calls. Reads are open to everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asrpool_operator.cluster.protocol import Cluster, Manifest, ObjectRef
from asrpool_operator.errors import NotLeaderError


class FencedCluster:
    """See `Cluster`; writes raise `NotLeaderError` once `leading()` is false."""

    def __init__(self, cluster: Cluster, leading: Callable[[], bool]) -> None:
        self._cluster = cluster
        self._leading = leading

    def check(self) -> None:
        """Raise `NotLeaderError` unless this replica leads at this very moment."""
        if not self._leading():
            raise NotLeaderError("this replica does not lead any more; the new leader goes on from here")

    async def get(self, ref: ObjectRef) -> Manifest:
        """See `Cluster.get`."""
        return await self._cluster.get(ref)

    async def apply(self, manifest: Manifest) -> Manifest:
        """See `Cluster.apply`."""
        self.check()
        return await self._cluster.apply(manifest)

    async def create(self, manifest: Manifest) -> Manifest:
        """See `Cluster.create`."""
        self.check()
        return await self._cluster.create(manifest)

    async def replace(self, manifest: Manifest) -> Manifest:
        """See `Cluster.replace`."""
        self.check()
        return await self._cluster.replace(manifest)

    async def delete(self, ref: ObjectRef, uid: str) -> None:
        """See `Cluster.delete`."""
        self.check()
        await self._cluster.delete(ref, uid)

    async def scale(self, ref: ObjectRef, replicas: int) -> None:
        """See `Cluster.scale`."""
        self.check()
        await self._cluster.scale(ref, replicas)

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> None:
        """See `Cluster.annotate`."""
        self.check()
        await self._cluster.annotate(ref, annotations)

    async def patch_status(self, ref: ObjectRef, status: Mapping[str, Any], uid: str) -> None:
        """See `Cluster.patch_status`."""
        self.check()
        await self._cluster.patch_status(ref, status, uid)
