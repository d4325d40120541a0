"""The admin port: the operator's contract, its token, and the metrics' names."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.worker.server.running import SECOND, hear, hear_all, running, say

pytestmark = pytest.mark.server


async def test_status_has_the_shape_of_the_contract() -> None:
    async with running(capacity=4) as server, server.connect(additional_headers={"Device-Id": "a"}) as socket:
        await say(socket, mode="2pass")
        await socket.send(SECOND * 2)
        await say(socket, is_speaking=False, is_end=True)
        await hear_all(socket)
        status = (await server.admin.get("/status", params={"percentile": 95, "window": 30})).json()
        ages = status["sessions"].pop("ages_seconds")
        started = status.pop("started_unix")
        assert 100.0 <= status["latency"].pop("partial_ms") < 200.0
        assert 200.0 <= status["latency"].pop("final_ms") < 300.0
        assert status == {
            "pod": "pod-1",
            "ready": True,
            "draining": False,
            "draining_since": None,
            "sessions": {"active": 1, "capacity": 4, "configured_capacity": 4, "held_ids": 0},
            "latency": {
                "percentile": 95,
                "window_seconds": 30,
                "samples": 4,
                "partial_samples": 3,
                "final_samples": 1,
            },
            "ended": {"count": 0, "seconds_sum": 0.0, "seconds_sq_sum": 0.0},
            "lag_seconds": 0.25,
            "load_seconds": 0.5,
        }
        assert len(ages) == 1
        assert 0 < ages[0] < 10
        assert abs(started - time.time()) < 60


async def test_status_counts_what_ended_and_holds_the_id() -> None:
    async with running() as server:
        async with server.connect(additional_headers={"Device-Id": "a"}):
            pass
        await server.until_empty()
        status = (await server.admin.get("/status")).json()
        assert status["sessions"]["held_ids"] == 1
        assert status["ended"]["count"] == 1
        assert 0 < status["ended"]["seconds_sum"] < 10
        assert status["latency"]["partial_ms"] is None, "no sample is not zero"


async def test_latency_counts_the_way_from_the_engine_to_the_event_loop() -> None:
    """A loop that is busy sends late, whatever the engine's thread says of itself."""
    async with running() as server:
        async with server.connect() as socket:
            await say(socket, mode="online")
            server.engine.gate.clear()
            await socket.send(SECOND)
            await server.engine.until_opened(1)
            await asyncio.sleep(0.1)
            server.engine.gate.set()
            time.sleep(0.4)  # noqa: ASYNC251 - this is the busy loop
            await hear(socket)
        status = (await server.admin.get("/status")).json()
        assert status["latency"]["partial_ms"] >= 450.0, "100 ms by the engine's word, and the hop"


async def test_status_answers_while_the_models_load() -> None:
    async with running(ready=False) as server:
        status = (await server.admin.get("/status")).json()
        assert (status["ready"], status["load_seconds"], status["lag_seconds"]) == (False, None, 0.0)


@pytest.mark.parametrize("query", ["percentile=0", "percentile=101", "window=0", "window=601", "percentile=x"])
async def test_status_refuses_a_percentile_or_window_that_is_none(query: str) -> None:
    async with running() as server:
        assert (await server.admin.get(f"/status?{query}")).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/status"), ("POST", "/drain"), ("POST", "/undrain"), ("POST", "/capacity")]
)
@pytest.mark.parametrize("token", ["", "Bearer wrong", "s3cret"])
async def test_everything_but_metrics_wants_the_token(method: str, path: str, token: str) -> None:
    async with running() as server:
        answer = await server.admin.request(method, path, headers={"Authorization": token}, json={"sessions": 1})
        assert answer.status_code == 401
        assert not server.worker.admission.draining
        assert server.worker.admission.capacity == 4
        assert (await server.admin.get("/metrics", headers={"Authorization": ""})).status_code == 200


async def test_the_admin_paths_are_not_on_the_public_port() -> None:
    async with running() as server:
        for path in ("/status", "/metrics", "/docs", "/openapi.json"):
            assert (await server.http.get(path)).status_code == 404


async def test_drain_and_undrain_answer_with_the_status() -> None:
    async with running() as server:
        drained = (await server.admin.post("/drain")).json()
        assert drained["draining"] is True
        assert abs(drained["draining_since"] - time.time()) < 60
        again = (await server.admin.post("/drain")).json()
        assert abs(again["draining_since"] - drained["draining_since"]) < 0.1
        undrained = (await server.admin.post("/undrain")).json()
        assert (undrained["draining"], undrained["draining_since"]) == (False, None)


async def test_capacity_is_lowered_and_given_back() -> None:
    async with running(capacity=4) as server:
        for asked, got in ((2, 2), (9, 4), (0, 0)):
            answer: httpx.Response = await server.admin.post("/capacity", json={"sessions": asked})
            assert answer.json()["sessions"]["capacity"] == got


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"x", 422),
        (b"[]", 422),
        (b'{"sessions": -1}', 422),
        (b'{"sessions": true}', 422),
        (b'{"sessions": 1.5}', 422),
        (bytes(5_000), 413),
    ],
)
async def test_capacity_refuses_a_body_that_is_none(body: bytes, status: int) -> None:
    async with running() as server:
        assert (await server.admin.post("/capacity", content=body)).status_code == status
        assert server.worker.admission.capacity == 4


async def test_the_metrics_of_the_contract_are_there_with_their_values() -> None:
    async with running(capacity=4) as server:
        async with server.connect() as socket:
            await say(socket, mode="2pass")
            await socket.send(SECOND)
            await say(socket, is_speaking=False, is_end=True)
            await hear_all(socket)
        await server.until_empty()
        server.worker.metrics.batch("online", 3, 0.02)
        text = (await server.admin.get("/metrics")).text
    values = {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values["asrpool_sessions_active", ()] == 0
    assert values["asrpool_sessions_capacity", ()] == 4
    assert values["asrpool_sessions_total", (("result", "ok"),)] == 1
    assert values["asrpool_session_seconds_count", ()] == 1
    assert values["asrpool_partial_latency_seconds_count", ()] == 1
    assert values["asrpool_partial_latency_seconds_sum", ()] == pytest.approx(0.1, abs=0.1)
    assert values["asrpool_final_latency_seconds_sum", ()] == pytest.approx(0.2, abs=0.1)
    assert values["asrpool_batch_size_sum", (("stage", "online"),)] == 3
    assert values["asrpool_step_seconds_sum", (("stage", "online"),)] == pytest.approx(0.02)
    assert values["asrpool_realtime_lag_seconds", ()] == 0.25
    assert values["asrpool_draining", ()] == 0
    assert values["asrpool_model_load_seconds", ()] == 0.5
