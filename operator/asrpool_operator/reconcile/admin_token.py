"""The pool's admin token: made once, kept in the Secret `<pool>-admin`, never changed by an edit.

Workers read it when they start; a token that changed under them would make them unreachable for the operator. So a
Secret that somebody deleted is made again with the token that is still in use.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Any

from asrpool_operator.api import API_VERSION, KIND, ASRPool
from asrpool_operator.cluster.protocol import POOL_LABEL, Cluster, Manifest, ObjectRef
from asrpool_operator.errors import ConflictError, NotFoundError, RejectedError

_KEY = "token"
_TOKEN_BYTES = 32


async def ensure_token(cluster: Cluster, pool: ASRPool, in_use: str | None) -> str:
    """The token in the Secret, which is made where there is none (with `in_use`, or a new one)."""
    ref = ObjectRef("Secret", pool.metadata.namespace, f"{pool.metadata.name}-admin")
    try:
        return _token_of(await cluster.get(ref), ref)
    except NotFoundError:
        token = in_use or secrets.token_urlsafe(_TOKEN_BYTES)
    try:
        await cluster.create(secret_manifest(pool, ref, token))
    except ConflictError:  # a leader that just went made it
        return _token_of(await cluster.get(ref), ref)
    return token


def secret_manifest(pool: ASRPool, ref: ObjectRef, token: str) -> Manifest:
    """The Secret to create, owned by the pool."""
    owner: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": pool.metadata.name,
        "uid": pool.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {POOL_LABEL: pool.metadata.name, "app.kubernetes.io/managed-by": "asrpool-operator"},
            "ownerReferences": [owner],
        },
        "type": "Opaque",
        "data": {_KEY: base64.b64encode(token.encode()).decode()},
    }


def _token_of(secret: Manifest, ref: ObjectRef) -> str:
    try:
        token = base64.b64decode((secret.get("data") or {})[_KEY], validate=True).decode().strip()
    except (KeyError, binascii.Error, UnicodeDecodeError):
        token = ""
    if not token:
        raise RejectedError(f"{ref} has no usable key {_KEY!r}: delete it, and the operator makes it anew")
    return token
