"""What all objects of a pool share: owner, labels, and the security settings of their pods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from asrpool_operator.api import API_VERSION, KIND, ASRPool
from asrpool_operator.api.worker import ResourceRequirements
from asrpool_operator.render import names

Manifest = dict[str, Any]

USER_ID: Final = 65532
STOP_MARGIN_SECONDS: Final = 30
"""What a pod gets on top of `drainSeconds`, so that it can end its last streams itself, with a reason."""


@dataclass(frozen=True)
class Defaults:
    """What the operator fills in where a pool says nothing."""

    worker_image: str
    gateway_image: str
    image_pull_policy: str = "IfNotPresent"
    cluster_domain: str = "cluster.local"


def manifest(pool: ASRPool, api_version: str, kind: str, name: str, component: str, **fields: object) -> Manifest:
    """One object of the pool, owned by it; `fields` stand beside its metadata (`spec`, `data`)."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": pool.metadata.namespace,
            "labels": names.labels(pool.metadata.name, component),
            "ownerReferences": [owner_reference(pool)],
        },
        **fields,
    }


def owner_reference(pool: ASRPool) -> dict[str, Any]:
    """Ties an object's life to the pool's."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": pool.metadata.name,
        "uid": pool.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_security() -> dict[str, Any]:
    """Fits the `restricted` Pod Security Standard."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Nothing to gain, nothing to write but the mounted volumes."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources_of(requirements: ResourceRequirements) -> dict[str, Any]:
    """A container's `resources`, without empty halves."""
    return {
        half: values
        for half, values in (("limits", dict(requirements.limits)), ("requests", dict(requirements.requests)))
        if values
    }
