"""Merging a user's pod template over ours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asrpool_operator.errors import SpecError
from asrpool_operator.render.overlay import overlay, pod_template

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("base", "patch", "merged"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}, id="a value replaces"),
        pytest.param({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}, id="maps merge"),
        pytest.param({"a": 1, "b": 2}, {"a": None}, {"b": 2}, id="null removes"),
        pytest.param({"a": {"x": 1}}, {"a": {"$patch": "replace", "y": 2}}, {"a": {"y": 2}}, id="replace a map"),
        pytest.param({"a": {"x": 1}, "b": 1}, {"a": {"$patch": "delete"}}, {"b": 1}, id="delete a map"),
        pytest.param(
            {"containers": [{"name": "worker", "image": "a"}]},
            {"containers": [{"name": "log", "image": "c"}, {"name": "worker", "image": "b"}]},
            {"containers": [{"name": "worker", "image": "b"}, {"name": "log", "image": "c"}]},
            id="containers merge by name, ours stays first",
        ),
        pytest.param(
            {"volumes": [{"name": "tmp"}, {"name": "run"}]},
            {"volumes": [{"name": "tmp", "$patch": "delete"}]},
            {"volumes": [{"name": "run"}]},
            id="a keyed item is deleted",
        ),
        pytest.param(
            {"volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}]},
            {"volumeMounts": [{"mountPath": "/tmp", "name": "fast"}]},
            {"volumeMounts": [{"mountPath": "/tmp", "name": "fast"}]},
            id="mounts merge by path",
        ),
        pytest.param({"args": ["a", "b"]}, {"args": ["c"]}, {"args": ["c"]}, id="plain lists are replaced"),
        pytest.param(
            {"env": [{"name": "A", "value": "1"}]},
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {}}, "value": None}]},
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]},
            id="null removes inside an item",
        ),
    ],
)
def test_overlay(base: Json, patch: Json, merged: Json) -> None:
    assert overlay(base, patch) == merged


_names = st.sampled_from(["containers", "env", "labels", "args", "x"])
_item = st.fixed_dictionaries({"name": st.sampled_from("abc"), "x": st.none() | st.integers()})
_value = st.none() | st.integers() | st.lists(_item, max_size=3) | st.dictionaries(_names, st.integers(), max_size=2)
_maps = st.dictionaries(_names, _value, max_size=4)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(_maps, _maps)
def test_overlay_takes_any_template_and_changes_neither_input(base: Json, patch: Json) -> None:
    before = repr((base, patch))
    overlay(base, patch)
    assert repr((base, patch)) == before


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(_maps)
def test_an_empty_overlay_changes_nothing(base: Json) -> None:
    assert overlay(base, {}) == base


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"metadata": None}, "spec.worker.podTemplate.metadata"),
        ({"metadata": {"labels": "x"}}, "spec.worker.podTemplate.metadata"),
        ({"spec": "x"}, "spec.worker.podTemplate.spec"),
        ({"spec": {"containers": None}}, "spec.worker.podTemplate.spec"),
    ],
)
def test_a_template_that_is_none_is_named(patch: Json, field: str) -> None:
    """Whatever was typed there, the pool's owner is told where."""
    base = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "worker"}]}}
    with pytest.raises(SpecError, match=field):
        pod_template(base, patch, {"a": "b"}, "spec.worker")


BASE: Json = {
    "metadata": {"labels": {}},
    "spec": {"terminationGracePeriodSeconds": 90, "containers": [{"name": "worker"}]},
}


def test_a_grace_period_that_would_cut_streams_is_refused() -> None:
    with pytest.raises(
        SpecError, match=r"spec\.gateway\.podTemplate\.spec\.terminationGracePeriodSeconds.*at least 90"
    ):
        pod_template(BASE, {"spec": {"terminationGracePeriodSeconds": 60}}, {}, "spec.gateway")


@pytest.mark.parametrize(
    ("patch", "seconds"),
    [
        pytest.param({}, 90, id="nothing said"),
        pytest.param({"spec": {"terminationGracePeriodSeconds": 600}}, 600, id="longer"),
        pytest.param({"spec": {"terminationGracePeriodSeconds": None}}, 90, id="taken away: not Kubernetes' 30 s"),
        pytest.param(
            {"spec": {"$patch": "replace", "containers": [{"name": "worker"}]}}, 90, id="the whole spec replaced"
        ),
    ],
)
def test_the_grace_period_is_never_shorter_than_ours(patch: Json, seconds: int) -> None:
    assert pod_template(BASE, patch, {}, "spec.worker")["spec"]["terminationGracePeriodSeconds"] == seconds
