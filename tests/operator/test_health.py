"""The operator's own HTTP port."""

from __future__ import annotations

import httpx

from asrpool_operator.health import Health, serve_health
from asrpool_operator.metrics import Metrics
from asrpool_operator.snapshot import PoolSnapshot


async def test_probes_say_what_is_wrong_and_metrics_are_there() -> None:
    metrics, wrong = Metrics(), {"alive": "", "ready": "the watches are not connected"}
    seen = PoolSnapshot(name="p", namespace="n", replicas=3)
    health = Health(
        why_not_alive=lambda: wrong["alive"],
        why_not_ready=lambda: wrong["ready"],
        snapshot_of=lambda namespace, pool: seen if (namespace, pool) == ("n", "p") else None,
    )
    runner = await serve_health("127.0.0.1", 0, health, metrics)
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    metrics.leader.set(1)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{base}/healthz")).status_code == 200
        ready = await client.get(f"{base}/readyz")
        assert (ready.status_code, ready.text) == (503, "the watches are not connected\n")
        wrong["alive"] = "no tick has ended for long"
        assert (await client.get(f"{base}/healthz")).status_code == 503
        assert PoolSnapshot.model_validate_json((await client.get(f"{base}/snapshots/n/p")).text) == seen
        assert (await client.get(f"{base}/snapshots/n/other")).status_code == 404
        assert "asrpool_operator_leader 1.0" in (await client.get(f"{base}/metrics")).text
    await runner.cleanup()
