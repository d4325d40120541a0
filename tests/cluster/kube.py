"""Reads and writes of Kubernetes objects for the tests: quick enough to look several times a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from asrpool_operator.cluster.resources import resource_of

Manifest = dict[str, Any]


class Kube:
    """JSON over an address that answers with the tester's rights (`kubectl proxy`)."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=5.0, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object, or None where there is none."""
        answer = await self._http.get(resource_of(kind).path(namespace, name))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return self._json(answer)

    async def all(self, kind: str, namespace: str, labels: Mapping[str, str] | None = None) -> list[Manifest]:
        """The objects of a kind that carry these labels."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        answer = await self._http.get(resource_of(kind).path(namespace), params={"labelSelector": selector})
        return list(self._json(answer)["items"])

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, as a user would."""
        metadata = manifest["metadata"]
        answer = await self._http.patch(
            resource_of(manifest["kind"]).path(metadata["namespace"], metadata["name"]),
            params={"fieldManager": "tests", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            json=manifest,
        )
        return self._json(answer)

    async def merge(
        self, kind: str, namespace: str, name: str, patch: Manifest, subresource: str | None = None
    ) -> None:
        """A merge patch."""
        path = resource_of(kind).path(namespace, name, subresource)
        headers = {"Content-Type": "application/merge-patch+json"}
        self._json(await self._http.patch(path, headers=headers, json=patch))

    async def delete(self, kind: str, namespace: str, name: str, *, grace_seconds: int | None = None) -> None:
        """Delete; an object that is gone already is no error. `grace_seconds=0` is a SIGKILL for a pod."""
        body = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        answer = await self._http.request("DELETE", resource_of(kind).path(namespace, name), json=body)
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._json(answer)

    @staticmethod
    def _json(answer: httpx.Response) -> Manifest:
        assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
        parsed: Manifest = answer.json()
        return parsed
