"""The operator's process by itself, outside the cluster: probes, metrics, the lease, and a clean end on SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.cluster.kube import Kube
from tests.cluster.waiting import eventually

PACKAGES = Path(__file__).resolve().parents[2] / "operator"
PORT = 18_471
LEASE = "process-test"
END_SECONDS = 5.0


@asynccontextmanager
async def operator_process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "asrpool_operator.main", "run", "--host", "127.0.0.1", *arguments,
        stderr=asyncio.subprocess.PIPE, cwd=PACKAGES,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_leads_answers_its_probes_and_hands_the_lease_back_when_told_to_stop(
    kubeconfig: Path, kube: Kube, namespace: str
) -> None:
    arguments = (
        "--kubeconfig", str(kubeconfig), "--namespace", namespace, "--lease-namespace", namespace,
        "--lease-name", LEASE, "--identity", "me", "--port", str(PORT),
    )  # fmt: skip

    async def holder() -> str | None:
        lease = await kube.get("Lease", namespace, LEASE)
        return None if lease is None else str(lease["spec"].get("holderIdentity") or "")

    async with operator_process(*arguments) as process, httpx.AsyncClient(trust_env=False) as http:

        async def ready() -> int:
            try:
                return (await http.get(f"http://127.0.0.1:{PORT}/readyz")).status_code
            except httpx.HTTPError:
                return 0

        await eventually(ready, lambda code: code == httpx.codes.OK, within_seconds=60, what="the operator is ready")
        await eventually(holder, lambda who: who == "me", within_seconds=20, what="it holds the lease")
        assert (await http.get(f"http://127.0.0.1:{PORT}/healthz")).status_code == httpx.codes.OK
        metrics = (await http.get(f"http://127.0.0.1:{PORT}/metrics")).text
        assert "asrpool_operator_leader 1.0" in metrics
        assert "asrpool_operator_api_live 1.0" in metrics
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        async with asyncio.timeout(30):
            assert await process.wait() == 0
        assert time.monotonic() - began < END_SECONDS
    assert await holder() == "", "the next replica need not wait for the lease to expire"


async def test_without_usable_credentials_it_says_what_it_looked_for() -> None:
    async with operator_process("--kubeconfig", "/nowhere/kubeconfig") as process:
        assert process.stderr is not None
        said = (await process.stderr.read()).decode()
        assert await process.wait() == 1
    assert "/nowhere/kubeconfig" in said
    assert "Traceback" not in said
