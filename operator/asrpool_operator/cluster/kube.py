"""`Cluster` over the real API server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asrpool_operator.cluster.api import KubeApi
from asrpool_operator.cluster.protocol import FIELD_MANAGER, SCALE_FIELD_MANAGER, Manifest, ObjectRef, ref_of
from asrpool_operator.cluster.resources import resource_of
from asrpool_operator.errors import ConflictError, NotFoundError

_MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"  # JSON is YAML: the API server takes it as it is


class KubeCluster:
    """See `Cluster`: one request each, no retries, no state."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api

    async def get(self, ref: ObjectRef) -> Manifest:
        """See `Cluster.get`."""
        return await self._api.call("GET", _path(ref))

    async def apply(self, manifest: Manifest) -> Manifest:
        """See `Cluster.apply`."""
        return await self._api.call(
            "PATCH",
            _path(ref_of(manifest)),
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=manifest,
            content_type=_APPLY_PATCH,
        )

    async def create(self, manifest: Manifest) -> Manifest:
        """See `Cluster.create`."""
        ref = ref_of(manifest)
        return await self._api.call(
            "POST",
            resource_of(ref.kind).path(ref.namespace),
            query={"fieldManager": FIELD_MANAGER},
            body=manifest,
        )

    async def replace(self, manifest: Manifest) -> Manifest:
        """See `Cluster.replace`."""
        return await self._api.call(
            "PUT", _path(ref_of(manifest)), query={"fieldManager": FIELD_MANAGER}, body=manifest
        )

    async def delete(self, ref: ObjectRef, uid: str) -> None:
        """See `Cluster.delete`."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._api.call("DELETE", _path(ref), body=options)
        except (NotFoundError, ConflictError):
            return

    async def scale(self, ref: ObjectRef, replicas: int) -> None:
        """See `Cluster.scale`."""
        await self._patch(_path(ref, "scale"), {"spec": {"replicas": replicas}}, SCALE_FIELD_MANAGER)

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> None:
        """See `Cluster.annotate`."""
        await self._patch(_path(ref), {"metadata": {"annotations": dict(annotations)}}, FIELD_MANAGER)

    async def patch_status(self, ref: ObjectRef, status: Mapping[str, Any], uid: str) -> None:
        """See `Cluster.patch_status`."""
        await self._patch(_path(ref, "status"), {"metadata": {"uid": uid}, "status": dict(status)}, FIELD_MANAGER)

    async def _patch(self, path: str, body: Manifest, field_manager: str) -> None:
        await self._api.call("PATCH", path, query={"fieldManager": field_manager}, body=body, content_type=_MERGE_PATCH)


def _path(ref: ObjectRef, subresource: str | None = None) -> str:
    return resource_of(ref.kind).path(ref.namespace, ref.name, subresource)
