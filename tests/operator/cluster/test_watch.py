"""The watched copy, against an API server of our own on loopback that says what the test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from asrpool_operator.cluster.api import KubeApi
from asrpool_operator.cluster.watch import KindWatch, Watched
from tests.operator.waiting import until


def pod(name: str, version: int, pool: str = "p") -> dict[str, Any]:
    return {
        "kind": "PartialObjectMetadata",
        "metadata": {
            "name": name,
            "namespace": "n",
            "resourceVersion": str(version),
            "labels": {"asrpool.dev/pool": pool},
            "managedFields": [{"manager": "x"}],
        },
    }


class ApiServer:
    """Lists `items`; each watch streams what is put into `feed` (None ends it)."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.version = 1
        self.feed: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.lists = 0
        self.watched_from: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.query["labelSelector"] == "asrpool.dev/pool"
        if "watch" not in request.query:
            self.lists += 1
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": self.items})
        self.watched_from.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await self.feed.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    fake = ApiServer()
    app = web.Application()
    app.router.add_get("/api/v1/pods", fake.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    api = KubeApi(configuration)
    watch = KindWatch(api, Watched("Pod", whole=True), None)
    fake.watch = watch  # type: ignore[attr-defined]
    task = asyncio.create_task(watch.run())
    yield fake
    task.cancel()
    fake.feed.put_nowait(None)
    await asyncio.gather(task, return_exceptions=True)
    await api.close()
    await runner.cleanup()


def names(server: ApiServer, pool: str = "p") -> list[str]:
    watch: KindWatch = server.watch  # type: ignore[attr-defined]
    return [manifest["metadata"]["name"] for manifest in watch.store.of_pool("n", pool)]


async def test_events_change_the_copy_and_the_next_watch_goes_on_from_the_last_version(server: ApiServer) -> None:
    await until(lambda: server.lists == 1)
    server.feed.put_nowait({"type": "ADDED", "object": pod("a", 2)})
    server.feed.put_nowait({"type": "ADDED", "object": pod("b", 3)})
    server.feed.put_nowait({"type": "ADDED", "object": pod("c", 4, pool="q")})
    server.feed.put_nowait({"type": "DELETED", "object": pod("a", 5)})
    server.feed.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}})
    server.feed.put_nowait(None)
    await until(lambda: len(server.watched_from) == 2)
    assert names(server) == ["b"]
    assert names(server, "q") == ["c"]
    assert server.watched_from == ["1", "9"]
    assert server.lists == 1, "a watch that ended in time needs no new list"


async def test_a_version_too_old_lists_again_and_finds_what_vanished_meanwhile(server: ApiServer) -> None:
    await until(lambda: server.lists == 1)
    server.feed.put_nowait({"type": "ADDED", "object": pod("a", 2)})
    await until(lambda: names(server) == ["a"])
    server.items, server.version = [pod("b", 7)], 8
    server.feed.put_nowait({"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    server.feed.put_nowait(None)
    await until(lambda: names(server) == ["b"])
    assert server.lists == 2


async def test_what_was_there_at_the_start_has_its_real_kind(server: ApiServer) -> None:
    """Asked for metadata alone, the API server calls everything PartialObjectMetadata."""
    server.items = [pod("a", 1)]
    await until(lambda: server.lists == 1)
    server.feed.put_nowait({"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    server.feed.put_nowait(None)
    server.feed.put_nowait({"type": "ADDED", "object": pod("b", 2)})
    await until(lambda: names(server) == ["a", "b"])
    watch: KindWatch = server.watch  # type: ignore[attr-defined]
    assert [manifest["kind"] for manifest in watch.store.of_pool("n", "p")] == ["Pod", "Pod"]


async def test_managed_fields_are_not_kept(server: ApiServer) -> None:
    await until(lambda: server.lists == 1)
    server.feed.put_nowait({"type": "ADDED", "object": pod("a", 2)})
    await until(lambda: names(server) == ["a"])
    watch: KindWatch = server.watch  # type: ignore[attr-defined]
    assert "managedFields" not in watch.store.of_pool("n", "p")[0]["metadata"]


async def test_a_server_that_is_gone_makes_the_view_not_live_and_coming_back_heals_it(server: ApiServer) -> None:
    watch: KindWatch = server.watch  # type: ignore[attr-defined]
    await until(lambda: watch.live and bool(server.watched_from))
    server.feed.put_nowait({"type": "ERROR", "object": {"code": 500, "message": "etcd"}})
    server.feed.put_nowait(None)
    await until(lambda: not watch.live)
    await until(lambda: watch.live)
    assert server.lists >= 2
