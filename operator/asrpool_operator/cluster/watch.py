"""A watched copy of the objects that belong to pools: one list and one watch per kind, whatever the number of pools.

Each watch goes through the same circle: list, then follow from the list's version until the stream ends; a version
that is too old, or any error, starts the circle again. Objects that vanished in between are found by the list, so
nothing depends on having seen a DELETED event.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from asrpool_operator.cluster.api import KubeApi
from asrpool_operator.cluster.protocol import POOL_LABEL, Manifest
from asrpool_operator.cluster.resources import resource_of
from asrpool_operator.errors import ClusterError, ClusterUnavailableError, ConflictError

log = logging.getLogger(__name__)

_WHOLE = "application/json"
_METADATA_OBJECT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

WATCH_SECONDS = 50
"""How long one watch request lasts before the server ends it and the next one continues from the same version."""

SILENCE_SECONDS = 60.0
"""A watch that says nothing for longer than it was to last is dead, whatever TCP thinks."""

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Watched:
    """A kind to watch, whole or only its metadata (enough to see that it was changed or deleted)."""

    kind: str
    whole: bool


WATCHED = (
    Watched("Pod", whole=True),
    Watched("Deployment", whole=True),
    Watched("StatefulSet", whole=True),
    Watched("ConfigMap", whole=False),
    Watched("Service", whole=False),
    Watched("ServiceAccount", whole=False),
    Watched("PodDisruptionBudget", whole=False),
    Watched("Ingress", whole=False),
)


class ObjectStore:
    """Objects of one kind in one scope, by pool."""

    def __init__(self) -> None:
        self._by_pool: defaultdict[tuple[str, str], dict[str, Manifest]] = defaultdict(dict)

    def of_pool(self, namespace: str, pool: str) -> Sequence[Manifest]:
        """The pool's objects, in name order."""
        found = self._by_pool.get((namespace, pool), {})
        return [found[name] for name in sorted(found)]

    def replace_all(self, manifests: Sequence[Manifest]) -> None:
        """Forget everything, know these."""
        self._by_pool.clear()
        for manifest in manifests:
            self.put(manifest)

    def put(self, manifest: Manifest) -> None:
        """Know this object, in place of an older version of it."""
        metadata = manifest["metadata"]
        metadata.pop("managedFields", None)
        self._by_pool[_pool_of(manifest)][metadata["name"]] = manifest

    def drop(self, manifest: Manifest) -> None:
        """Forget this object."""
        key = _pool_of(manifest)
        self._by_pool[key].pop(manifest["metadata"]["name"], None)
        if not self._by_pool[key]:
            del self._by_pool[key]


def _pool_of(manifest: Manifest) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), (metadata.get("labels") or {}).get(POOL_LABEL, "")


class KindWatch:
    """Keeps one `ObjectStore` in step with the API server."""

    def __init__(self, api: KubeApi, watched: Watched, namespace: str | None) -> None:
        self._api = api
        self._watched = watched
        self._namespace = namespace
        self._path = resource_of(watched.kind).path(namespace)
        self.store = ObjectStore()
        self.live = False

    async def run(self) -> None:
        """List and watch for ever."""
        failures = 0
        while True:
            try:
                version = await self._list()
                failures = 0
                while True:
                    version = await self._follow(version)
            except ConflictError:
                self.live = False  # 410: too long ago; list again at once
            except ClusterError as error:
                self.live = False
                log.log(
                    logging.WARNING if failures == 0 else logging.DEBUG,
                    "watching %s: %s; listing again",
                    resource_of(self._watched.kind),
                    error,
                )
                backoff_seconds = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
                failures += 1
                await asyncio.sleep(backoff_seconds * random.uniform(0.7, 1.3))  # noqa: S311  # spreads load, hides nothing

    async def _list(self) -> str:
        answer = await self._api.call(
            "GET",
            self._path,
            query={"labelSelector": POOL_LABEL},
            accept=_WHOLE if self._watched.whole else _METADATA_LIST,
        )
        items = answer.get("items") or []
        for item in items:
            item["kind"] = self._watched.kind  # a list's items carry none, or PartialObjectMetadata
        self.store.replace_all(items)
        self.live = True
        return str(answer["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> str:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": POOL_LABEL,
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        accept = _WHOLE if self._watched.whole else _METADATA_OBJECT
        async for event in self._api.lines(self._path, query=query, accept=accept, silence_seconds=SILENCE_SECONDS):
            kind, manifest = event.get("type"), event.get("object") or {}
            if kind == "ERROR":
                code = manifest.get("code")
                error = ConflictError if code == 410 else ClusterUnavailableError
                raise error(f"GET {self._path}: the watch ended with {code} {manifest.get('message')}")
            version = str(manifest["metadata"]["resourceVersion"])
            if kind == "DELETED":
                self.store.drop(manifest)
            elif kind in ("ADDED", "MODIFIED"):
                manifest["kind"] = self._watched.kind  # else PartialObjectMetadata
                self.store.put(manifest)
        return version


class WatchedView:
    """`PoolView` over one `KindWatch` per kind and namespace (or one per kind for the whole cluster)."""

    def __init__(self, api: KubeApi, namespaces: Sequence[str]) -> None:
        scopes: Sequence[str | None] = list(namespaces) or [None]
        self._watches = {
            (watched.kind, scope): KindWatch(api, watched, scope) for watched in WATCHED for scope in scopes
        }
        self._clusterwide = not namespaces

    @property
    def live(self) -> bool:
        """See `PoolView.live`."""
        return all(watch.live for watch in self._watches.values())

    def objects(self, kind: str, namespace: str, pool: str) -> Sequence[Manifest]:
        """See `PoolView.objects`."""
        watch = self._watches.get((kind, None if self._clusterwide else namespace))
        return [] if watch is None else watch.store.of_pool(namespace, pool)

    async def run(self) -> None:
        """Keep all watches going for ever."""
        async with asyncio.TaskGroup() as group:
            for (kind, scope), watch in self._watches.items():
                group.create_task(watch.run(), name=f"watch {kind} {scope or 'cluster-wide'}")
