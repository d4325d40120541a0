"""kopf's handlers pass on what they hear, and do nothing else."""

from __future__ import annotations

from typing import Any

import kopf
import pytest
from kubernetes.aio.client.configuration import Configuration

from asrpool_operator.handlers import connection_info, registry_for


async def handle(event: dict[str, Any]) -> tuple[list[str], list[str]]:
    seen: list[str] = []
    gone: list[str] = []

    async def load() -> Configuration:
        return Configuration()

    registry = registry_for(
        lambda body: seen.append(body["metadata"]["name"]), lambda body: gone.append(body["metadata"]["name"]), load
    )
    for handler in registry._watching.get_all_handlers():
        await handler.fn(event=event)  # type: ignore[call-arg, misc, arg-type]
    return seen, gone


@pytest.mark.parametrize(
    ("type_", "metadata", "expected"),
    [
        pytest.param(None, {}, (["p"], []), id="listed"),
        pytest.param("ADDED", {}, (["p"], []), id="added"),
        pytest.param("MODIFIED", {}, (["p"], []), id="modified"),
        pytest.param("DELETED", {}, ([], ["p"]), id="deleted"),
        pytest.param("MODIFIED", {"deletionTimestamp": "2026-01-01T00:00:00Z"}, ([], ["p"]), id="on its way out"),
    ],
)
async def test_events(type_: str | None, metadata: dict[str, str], expected: tuple[list[str], list[str]]) -> None:
    event = {"type": type_, "object": {"metadata": {"name": "p", "namespace": "n", **metadata}}}
    assert await handle(event) == expected


def test_no_handler_needs_a_finalizer() -> None:
    """A pool must be deletable while the operator is away: timers, daemons and deletion handlers would prevent it."""

    async def load() -> Configuration:
        return Configuration()

    registry = registry_for(lambda _body: None, lambda _body: None, load)
    assert not list(registry._spawning.get_all_handlers())
    assert not list(registry._changing.get_all_handlers())


async def test_kopf_uses_the_operators_own_credentials() -> None:
    configuration = Configuration()
    configuration.host = "https://10.0.0.1:6443"
    configuration.api_key["BearerToken"] = "bearer abc"
    info = await connection_info(configuration)
    assert isinstance(info, kopf.ConnectionInfo)
    assert (info.server, info.scheme, info.token) == ("https://10.0.0.1:6443", "Bearer", "abc")
