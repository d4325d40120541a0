"""Sums over streams."""

from __future__ import annotations

import json

import pytest

from asrpool.report import LoadReport, StreamReport, percentile


def stream(device_id: str, **fields: object) -> StreamReport:
    report = StreamReport(device_id)
    for name, value in fields.items():
        setattr(report, name, value)
    return report


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 2), (95, 4), (100, 4)])
def test_percentile_is_the_nearest_rank(percent: float, value: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == value


def test_percentile_of_nothing_is_none() -> None:
    assert percentile([], 95) is None


def test_a_device_that_comes_back_to_its_pod_has_not_moved() -> None:
    report = StreamReport("a")
    for pod in ("p1", "p1", None):
        report.answered_by(pod)
    assert (report.pods, report.moved) == (["p1"], False)
    report.answered_by("p2")
    report.answered_by("p1")
    assert (report.pods, report.moved) == (["p1", "p2", "p1"], True)


def test_the_sums() -> None:
    report = LoadReport(
        (
            stream("a", sessions=2, lost=1, pods=["p1", "p2"], partial_seconds=[0.1, 0.3], opened_seconds=[0.5, 2.0]),
            stream("b", sessions=1, refused=3, unreachable=1, pods=["p1"], partial_seconds=[0.2], final_seconds=[0.4]),
        ),
        wall_seconds=10.0,
        peak_live=2,
    )
    assert (report.sessions, report.lost, report.moved, report.refused, report.unreachable) == (3, 1, 1, 3, 1)
    assert (report.partial_ms(50), report.partial_ms(95), report.final_ms(95)) == (200.0, 300.0, 400.0)
    assert report.longest_open_seconds == 2.0
    assert json.loads(json.dumps(report.to_json()))["by_stream"][1]["refused"] == 3


def test_the_error_rate_is_over_known_texts_only() -> None:
    known = stream("a", said=["打开窗帘"], recognised=["打开窗连"])
    unknown = stream("b", said=[""], recognised=["随便"])
    assert LoadReport((known, unknown), 1, 1).error_rate == 0.25
    assert LoadReport((unknown,), 1, 1).error_rate is None
