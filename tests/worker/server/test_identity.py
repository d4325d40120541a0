"""Whose session it is."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers, QueryParams

from asrpool_worker.server.identity import Identity, identify


@pytest.mark.parametrize(
    ("headers", "query", "session_id"),
    [
        pytest.param(
            {"X-Asrpool-Session": "s", "Device-Id": "d"}, "device-id=q", "s", id="the gateway's word comes first"
        ),
        pytest.param({"device-id": "aa:bb"}, "device-id=q", "aa:bb", id="then the device's header"),
        pytest.param({"X-Asrpool-Session": ""}, "device-id=q", "q", id="then its query parameter"),
        pytest.param({}, "Device-Id=q", "q", id="as it is also written"),
    ],
)
def test_the_clients_id_is_taken_and_may_come_back(headers: dict[str, str], query: str, session_id: str) -> None:
    assert identify(Headers(headers), QueryParams(query)) == Identity(session_id, resumable=True)


def test_without_one_each_session_gets_its_own() -> None:
    first, second = identify(Headers(), QueryParams("")), identify(Headers(), QueryParams(""))
    assert first is not None
    assert second is not None
    assert first.session_id != second.session_id
    assert not first.resumable


@pytest.mark.parametrize("given", ["a b", "a\tb", "名字", "a\x7f", "a" * 257])
def test_an_id_that_cannot_go_into_headers_and_logs_is_refused(given: str) -> None:
    assert identify({"Device-Id": given}, {}) is None
