"""Errors of the API server say whose turn it is."""

from __future__ import annotations

import json

import pytest

from asrpool_operator.cluster.api import error_for
from asrpool_operator.cluster.resources import resource_of
from asrpool_operator.errors import (
    ClusterError,
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RejectedError,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RejectedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, ConflictError),
        (418, ClusterError),
        (422, RejectedError),
        (429, ClusterUnavailableError),
        (500, ClusterUnavailableError),
        (503, ClusterUnavailableError),
    ],
)
def test_status_to_error(status: int, kind: type[ClusterError]) -> None:
    assert type(error_for(status, "GET", "/x", "{}")) is kind


def test_a_forbidden_call_says_what_is_missing_and_where_to_look() -> None:
    body = json.dumps({"message": 'deployments.apps "p" is forbidden: cannot patch resource "deployments/scale"'})
    error = str(error_for(403, "PATCH", "/apis/apps/v1/namespaces/n/deployments/p/scale", body))
    assert 'cannot patch resource "deployments/scale"' in error
    assert "rbac" in error


@pytest.mark.parametrize("body", ["", "not json", "[1]", "null", "<html>"])
def test_an_odd_body_is_no_second_error(body: str) -> None:
    assert isinstance(error_for(500, "GET", "/x", body), ClusterUnavailableError)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Pod", "/api/v1/namespaces/n/pods/x"),
        ("Deployment", "/apis/apps/v1/namespaces/n/deployments/x"),
        ("ASRPool", "/apis/asrpool.dev/v1alpha1/namespaces/n/asrpools/x"),
    ],
)
def test_paths(kind: str, path: str) -> None:
    assert resource_of(kind).path("n", "x") == path
    assert resource_of(kind).path(None) == path.replace("/namespaces/n", "").removesuffix("/x")
    assert resource_of(kind).path("n", "x", "status") == path + "/status"


def test_a_kind_the_operator_was_never_meant_to_touch_is_refused() -> None:
    with pytest.raises(ClusterError, match="ClusterRole"):
        resource_of("ClusterRole")
