"""The operator's own HTTP port: `/healthz`, `/readyz`, `/metrics`, and `/snapshots/<namespace>/<pool>`.

Alive means that the ticks of a leader go on, not that the API server answers: restarting the operator would not bring
the API server back, and would lose what it has learnt.

A snapshot is what a pool's last decision was made from, in the form that `asrpool plan --snapshot` reads. It says no
more than the metrics do: names of pods and counts, no token and nothing that was spoken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from asrpool_operator.metrics import Metrics
from asrpool_operator.snapshot import PoolSnapshot


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes say: a sentence for what is wrong, or an empty one."""

    why_not_alive: Callable[[], str]
    why_not_ready: Callable[[], str]
    snapshot_of: Callable[[str, str], PoolSnapshot | None]


async def serve_health(host: str, port: int, health: Health, metrics: Metrics) -> web.AppRunner:
    """Start serving; the caller cleans the runner up."""

    async def healthz(_: web.Request) -> web.Response:
        return _probe(health.why_not_alive())

    async def readyz(_: web.Request) -> web.Response:
        return _probe(health.why_not_ready())

    async def expose(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def snapshot(request: web.Request) -> web.Response:
        seen = health.snapshot_of(request.match_info["namespace"], request.match_info["pool"])
        if seen is None:
            return web.Response(status=404, text="no such pool, or another replica leads\n")
        return web.Response(text=seen.model_dump_json(indent=1), content_type="application/json")

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", expose),
            web.get("/snapshots/{namespace}/{pool}", snapshot),
        ]
    )
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def _probe(why_not: str) -> web.Response:
    return web.Response(status=503, text=f"{why_not}\n") if why_not else web.Response(text="ok\n")
