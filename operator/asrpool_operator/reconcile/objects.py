"""Keep the pool's objects as they were rendered: the admin Secret, everything that `render` makes, and nothing else.

Each step can be the last before a crash: the next run finds the same difference and closes it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from asrpool_operator.api import ASRPool
from asrpool_operator.cluster.protocol import Cluster, Manifest, ObjectRef, PoolView, ref_of
from asrpool_operator.errors import ClusterError, ClusterUnavailableError, ForbiddenError, NotFoundError
from asrpool_operator.reconcile.admin_token import ensure_token
from asrpool_operator.reconcile.errors import PoolGoneError
from asrpool_operator.reconcile.manifests import (
    Applied,
    digest_of,
    fingerprint,
    is_controlled_by,
    orphans,
    why_apply,
    with_replicas,
)
from asrpool_operator.render import names

log = logging.getLogger(__name__)

WATCHED_KINDS = frozenset(
    {"Deployment", "StatefulSet", "ConfigMap", "Service", "ServiceAccount", "PodDisruptionBudget", "Ingress"}
)

_OPTIONAL_KINDS = frozenset({"Ingress"})
"""Of those, what a pool may have or not: the only ones that are ever deleted, and that the operator has the right to."""

_ROUTE = "HTTPRoute"
"""The one kind that cannot be watched like the others: not every cluster has it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pool as its spec asks for it: what was read, and every object that follows from it."""

    pool: ASRPool
    rendered: Sequence[Manifest]
    digest: str

    @classmethod
    def of(cls, pool: ASRPool, rendered: Sequence[Manifest]) -> Wanted:
        """With the digest of what was rendered."""
        return cls(pool, rendered, digest_of(rendered))


class ObjectKeeper:
    """Keeps one pool's objects; remembers what it applied last and the admin token in use."""

    def __init__(self, cluster: Cluster, view: PoolView) -> None:
        self._cluster = cluster
        self._view = view
        self._applied = Applied()
        self._token: str | None = None
        self._problems: tuple[str, ...] = ()

    async def token(self, pool: ASRPool) -> str:
        """The admin token; the API server is asked once."""
        if self._token is None:
            self._token = await ensure_token(self._cluster, pool, None)
        return self._token

    async def keep(self, wanted: Wanted, replicas: int, now: float) -> tuple[str, ...]:
        """Apply where needed; a new Deployment starts with `replicas`. Returns what the API server refused, in words.

        Raises `PoolGoneError`, and `ClusterUnavailableError` where going on now makes no sense.
        """
        pool, digest = wanted.pool, wanted.digest
        present = self._present(pool)
        reason = why_apply(self._applied, digest, present, set(WATCHED_KINDS), now)
        if not reason:
            return self._problems
        log.info("pool %s/%s: applying its objects: %s", pool.metadata.namespace, pool.metadata.name, reason)
        self._applied = Applied(digest=digest, unix_seconds=now)
        problems: list[str] = []
        fingerprints: dict[ObjectRef, str] = {}
        with _noting(problems, f"ASRPool {pool.metadata.name}"):
            await self._check_pool_is_there(pool)
        if not problems:
            fingerprints = await self._make(wanted, replicas, problems)
        self._problems = tuple(problems)
        self._applied = Applied(digest=digest, unix_seconds=now, complete=not problems, fingerprints=fingerprints)
        return self._problems

    async def _make(self, wanted: Wanted, replicas: int, problems: list[str]) -> dict[ObjectRef, str]:
        """Make everything as it was rendered; the fingerprints of what went through."""
        pool, fingerprints = wanted.pool, {}
        with _noting(problems, "admin token"):
            self._token = await ensure_token(self._cluster, pool, self._token)
        for manifest in wanted.rendered:
            with _noting(problems, f"{manifest['kind']} {manifest['metadata']['name']}"):
                fingerprints[ref_of(manifest)] = fingerprint(await self._apply(manifest, replicas))
        with _noting(problems, "what the spec no longer asks for"):
            await self._delete_orphans(pool, wanted.rendered)
        return fingerprints

    async def _apply(self, manifest: Manifest, replicas: int) -> Manifest:
        if manifest["kind"] != "Deployment":
            return await self._cluster.apply(manifest)
        try:
            live: Manifest | None = await self._cluster.get(ref_of(manifest))
        except NotFoundError:
            live = None
        return await self._cluster.apply(with_replicas(manifest, live, replicas))

    async def _delete_orphans(self, pool: ASRPool, rendered: Sequence[Manifest]) -> None:
        optional = [manifest for manifest in self._present(pool) if manifest["kind"] in _OPTIONAL_KINDS]
        for ref, uid in orphans(optional, rendered, pool.metadata.uid):
            log.info("deleting %s, which the spec no longer asks for", ref)
            await self._cluster.delete(ref, uid)
        if all(manifest["kind"] != _ROUTE for manifest in rendered):
            await self._delete_route(pool)

    async def _delete_route(self, pool: ASRPool) -> None:
        ref = ObjectRef(_ROUTE, pool.metadata.namespace, names.gateway(pool.metadata.name))
        try:
            live = await self._cluster.get(ref)
        except (NotFoundError, ForbiddenError):
            return  # none there; or a cluster without the Gateway API, for which no right to look was given
        if is_controlled_by(live, pool.metadata.uid):
            await self._cluster.delete(ref, live["metadata"]["uid"])

    async def _check_pool_is_there(self, pool: ASRPool) -> None:
        """Nothing may be made for a pool that is gone: its objects would be orphans, deleted and made in turn."""
        ref = ObjectRef("ASRPool", pool.metadata.namespace, pool.metadata.name)
        try:
            metadata: dict[str, Any] = (await self._cluster.get(ref))["metadata"]
        except NotFoundError as error:
            raise PoolGoneError(f"{ref} was deleted") from error
        if metadata.get("uid") != pool.metadata.uid or "deletionTimestamp" in metadata:
            raise PoolGoneError(f"{ref} was deleted or made anew")

    def _present(self, pool: ASRPool) -> list[Manifest]:
        namespace, name = pool.metadata.namespace, pool.metadata.name
        return [manifest for kind in sorted(WATCHED_KINDS) for manifest in self._view.objects(kind, namespace, name)]


@contextmanager
def _noting(problems: list[str], what: str) -> Iterator[None]:
    """One refused step (a pod template overlay that makes no sense) must not hold up the others: it is noted."""
    try:
        yield
    except ClusterUnavailableError:
        raise
    except ClusterError as error:
        problems.append(f"{what}: {error}")
