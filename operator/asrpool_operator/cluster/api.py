"""One HTTP call to the API server: auth, time limit, and an error that says whose turn it is.

Built on `kubernetes.aio`'s configuration loaders and REST client only. Its generated models are left out on purpose:
turning each of thousands of watched pods into a tree of model objects costs more than all decisions together.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config as kube_config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from asrpool_operator.cluster.protocol import Manifest
from asrpool_operator.errors import (
    ClusterError,
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RejectedError,
)

CALL_TIMEOUT_SECONDS = 3.0
"""Longer than any healthy call by far, and short enough that a hung API server does not hold a tick for long."""

_RETRY_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_BY_STATUS: dict[int, type[ClusterError]] = {
    400: RejectedError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ConflictError,
    422: RejectedError,
}


async def load_configuration(kubeconfig: str | None = None, context: str | None = None) -> Configuration:
    """Credentials for the API server: the pod's service account inside a cluster, else the kubeconfig.

    An explicit `kubeconfig` or `context` always wins. `ClusterError` says what was looked for.
    """
    configuration = Configuration()
    explicit = kubeconfig is not None or context is not None
    try:
        if not explicit and "KUBERNETES_SERVICE_HOST" in os.environ:
            kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig, context=context, client_configuration=configuration
            )
    except (kube_config.ConfigException, OSError) as error:
        where = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
        raise ClusterError(
            f"no usable credentials for a Kubernetes API server ({error}): run inside a pod with a service account, "
            f"or give --kubeconfig / KUBECONFIG (looked at {where})"
        ) from error
    return configuration


async def bearer_of(configuration: Configuration) -> str:
    """The Authorization header's value (a service account's token is read anew as it rotates), or an empty string."""
    return await configuration.get_api_key_with_prefix("BearerToken", alias="authorization") or ""


def error_for(status: int, method: str, path: str, body: str) -> ClusterError:
    """The typed error for an answer that is not a success; pure."""
    try:
        said = json.loads(body)
        message = str(said.get("message") or body)
    except (json.JSONDecodeError, AttributeError):
        message = body.strip()[:500]
    what = f"{method} {path}: {status} {message}"
    if status in _RETRY_LATER:
        return ClusterUnavailableError(what)
    kind = _BY_STATUS.get(status, ClusterError)
    if kind is ForbiddenError and "is being terminated" not in message:
        what += " (the operator's Role or ClusterRole lacks it: compare with the chart's rbac.yaml)"
    return kind(what)


class KubeApi:
    """A connection to one API server. Close it with `close()`."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._rest = RESTClientObject(configuration)

    async def close(self) -> None:
        """Close all connections."""
        await self._rest.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Manifest:
        """One request; the answer's JSON. Raises a `ClusterError`."""
        response = await self._open(
            method, path, query, body, content_type, accept, aiohttp.ClientTimeout(total=CALL_TIMEOUT_SECONDS)
        )
        try:
            async with response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterUnavailableError(f"{method} {path}: the answer broke off ({error!r})") from error
        if response.status >= 300:
            raise error_for(response.status, method, path, text)
        try:
            answer = json.loads(text)
        except json.JSONDecodeError as error:
            raise ClusterUnavailableError(f"{method} {path}: the answer is not JSON ({error})") from error
        if not isinstance(answer, dict):
            raise ClusterUnavailableError(f"{method} {path}: the answer is not a JSON object")
        return answer

    async def lines(
        self, path: str, *, query: Mapping[str, str], accept: str, silence_seconds: float
    ) -> AsyncIterator[Manifest]:
        """A watch: one JSON object per line until the server ends it. A silence longer than allowed is an error."""
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CALL_TIMEOUT_SECONDS, sock_read=silence_seconds)
        response = await self._open("GET", path, query, None, "application/json", accept, limit)
        try:
            async with response:
                if response.status >= 300:
                    raise error_for(response.status, "GET", path, await response.text())
                async for line in response.content:
                    yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ClusterUnavailableError(f"GET {path}: the watch broke off ({error!r})") from error

    async def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Manifest | None,
        content_type: str,
        accept: str,
        limit: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": "asrpool-operator"}
        bearer = await bearer_of(self._configuration)
        if bearer:
            headers["Authorization"] = bearer
        url = f"{self._configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = await self._rest.request(  # type: ignore[no-untyped-call]  # generated code
                method, url, headers=headers, body=body, _request_timeout=limit
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterUnavailableError(
                f"{method} {path}: the API server at {self._configuration.host} did not answer ({error!r})"
            ) from error
        response: aiohttp.ClientResponse = answer.response
        return response
