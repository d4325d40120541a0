"""The operator's own HTTP port: `/healthz`, `/readyz`, `/metrics`.

Alive means that the ticks of a leader go on, not that the API server answers: restarting the operator would not bring
the API server back, and would lose what it has learnt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from asrpool_operator.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes say: a sentence for what is wrong, or an empty one."""

    why_not_alive: Callable[[], str]
    why_not_ready: Callable[[], str]


async def serve_health(host: str, port: int, health: Health, metrics: Metrics) -> web.AppRunner:
    """Start serving; the caller cleans the runner up."""

    async def healthz(_: web.Request) -> web.Response:
        return _probe(health.why_not_alive())

    async def readyz(_: web.Request) -> web.Response:
        return _probe(health.why_not_ready())

    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", expose)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def _probe(why_not: str) -> web.Response:
    return web.Response(status=503, text=f"{why_not}\n") if why_not else web.Response(text="ok\n")
