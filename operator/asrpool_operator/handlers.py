"""kopf's part: hear of ASRPools, in a thread of its own, and pass them on.

Why a thread: kopf assumes that every task of its event loop is its own and cancels them all when it ends. And it ends
on errors that a restart cures (a CRD that is deleted and comes back), which must not touch the pools' tasks.

Why `on.event` only: timers and daemons put a finalizer on each pool, which could then not be deleted while the
operator is away.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence

import kopf
from kubernetes.aio.client.configuration import Configuration

from asrpool_operator.api import API_VERSION, GROUP, PLURAL, VERSION
from asrpool_operator.cluster.api import KubeApi, bearer_of
from asrpool_operator.cluster.protocol import Manifest
from asrpool_operator.errors import ClusterError, NotFoundError

log = logging.getLogger(__name__)

_RESTART_SECONDS = 2.0
_CRD_POLL_SECONDS = 1.0

LoadConfiguration = Callable[[], Awaitable[Configuration]]
Hear = Callable[[Manifest], None]


class PoolWatch:
    """Runs kopf until `stop()`. `seen` and `gone` are called in the event loop that `start()` was called in."""

    def __init__(
        self, load_configuration: LoadConfiguration, namespaces: Sequence[str], seen: Hear, gone: Hear
    ) -> None:
        self._load_configuration = load_configuration
        self._namespaces = list(namespaces)
        self._seen = seen
        self._gone = gone
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        loop = asyncio.get_running_loop()

        def later(hear: Hear) -> Hear:
            return lambda body: (loop.call_soon_threadsafe(hear, body), None)[1]

        self._registry = registry_for(later(self._seen), later(self._gone), self._load_configuration)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    async def stop(self) -> None:
        """End kopf and wait for its thread."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, 5.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                asyncio.run(self._serve())
            except Exception as error:  # noqa: BLE001  # whatever ended kopf, beginning again is the cure
                log.warning("watching ASRPools ended (%r); starting again in %.0f s", error, _RESTART_SECONDS)
            self._stop.wait(_RESTART_SECONDS)

    async def _serve(self) -> None:
        if not await self._crd_is_served():
            return
        await kopf.operator(
            registry=self._registry,
            settings=kopf_settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._stop,
        )

    async def _crd_is_served(self) -> bool:
        """Wait until the API server serves ASRPools; false when stopped before."""
        api = KubeApi(await self._load_configuration())
        told = False
        try:
            while not self._stop.is_set():
                try:
                    await api.call("GET", f"/apis/{API_VERSION}")
                    return True
                except NotFoundError:
                    if not told:
                        log.warning("the API server does not know ASRPools (yet): install the chart's CRD; waiting")
                    told = True
                except ClusterError as error:
                    log.warning("waiting for the API server: %s", error)
                await asyncio.to_thread(self._stop.wait, _CRD_POLL_SECONDS)
        finally:
            await api.close()
        return False


def registry_for(seen: Hear, gone: Hear, load_configuration: LoadConfiguration) -> kopf.OperatorRegistry:
    """The handlers, which only pass on; both callbacks are called in kopf's thread."""
    registry = kopf.OperatorRegistry()

    async def pool_event(event: kopf.RawEvent, **_: object) -> None:
        body: Manifest = dict(event["object"])
        # A pool on its way out (foreground deletion) is as good as gone: nothing must be made for it any more.
        over = event["type"] == "DELETED" or "deletionTimestamp" in body["metadata"]
        (gone if over else seen)(body)

    async def login(**_: object) -> kopf.ConnectionInfo:
        return await connection_info(await load_configuration())

    kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(pool_event)
    kopf.on.login(registry=registry)(login)
    return registry


async def connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """The same credentials that the operator's own calls use, in kopf's words."""
    scheme, _, token = (await bearer_of(configuration)).rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        scheme=scheme.capitalize() or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        trust_env=True,
    )


def kopf_settings() -> kopf.OperatorSettings:
    """No events, no peering, no writes; watches that notice when they are dead; patience without end."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # the CRD is waited for before kopf starts
    settings.watching.server_timeout = 50
    settings.watching.client_timeout = 60
    settings.watching.connect_timeout = 3
    settings.networking.request_timeout = 10
    settings.networking.error_backoffs = _Patience()
    settings.networking.trust_env = True
    return settings


class _Patience:
    """Pauses between kopf's tries of one request: short at first, then for ever the same. It never gives up."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1.0)
        while True:
            yield 2.0
