"""What a window's figures make of a point, what a row says of its target, and what a stream costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from bench.streams import plot, report
from bench.streams.clients import Heard
from bench.streams.report import RowResult, cost, verdict
from bench.streams.rows import OURS
from bench.streams.server import Usage
from bench.streams.trial import Point, Timing, point_of

METRICS = """
# TYPE asrpool_gpu_utilization_ratio gauge
asrpool_gpu_utilization_ratio 0.5
# TYPE asrpool_batch_size histogram
asrpool_batch_size_sum{{stage="online"}} {rows}
asrpool_batch_size_count{{stage="online"}} {steps}
# TYPE asrpool_step_seconds histogram
asrpool_step_seconds_sum{{stage="online"}} {seconds}
asrpool_step_seconds_count{{stage="online"}} {steps}
# TYPE asrpool_partial_latency_seconds histogram
asrpool_partial_latency_seconds_sum {latency}
asrpool_partial_latency_seconds_count {steps}
"""
BEFORE = Usage(10.0, 5.0, 10**8, METRICS.format(rows=10, steps=10, seconds=1.0, latency=1.0))
AFTER = Usage(40.0, 50.0, 2 * 10**8, METRICS.format(rows=90, steps=20, seconds=3.0, latency=3.0))


def heard(lags: list[float], tails: list[float], errors: list[str] | None = None) -> Heard:
    return Heard(lags, tails, 0, errors or [], frames=100, late=1, cpu_share=0.05)


def point(streams: int, passed: bool = True) -> Point:
    return point_of(streams, heard([0.1 if passed else 2.0], [0.2]), BEFORE, AFTER, 0.8)


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        pytest.param(heard([0.1] * 96 + [9.0] * 4, [0.2]), True, id="4 of 100 late"),
        pytest.param(heard([0.1] * 90 + [9.0] * 10, [0.2]), False, id="10 of 100 late"),
        pytest.param(heard([0.1], [0.2, 0.9]), False, id="a late tail"),
        pytest.param(heard([0.1], [0.2], ["cut"]), False, id="a stream lost"),
        pytest.param(heard([], [0.2]), False, id="no partial"),
        pytest.param(heard([0.1], []), False, id="no tail"),
    ],
)
def test_a_point_passes_when_all_is_in_time_and_nobody_is_lost(found: Heard, passed: bool) -> None:
    assert point_of(3, found, BEFORE, AFTER, 0.8).passed is passed


def test_a_point_has_the_figures_of_its_window_alone() -> None:
    found = point(8)
    assert found.server_cores == 1.5
    assert found.resident_mb == 200.0
    assert found.batch == {"online": 8.0}
    assert found.step_ms == {"online": 200.0}
    assert found.server_lag_ms == 200.0
    assert found.client_late_percent == 1.0
    assert found.gpu == {"utilization_ratio": 0.5}


def test_a_server_without_metrics_has_no_batches() -> None:
    usage = Usage(10.0, 5.0, 10**8, ""), Usage(40.0, 50.0, 10**8, "")
    assert point_of(1, heard([0.1], [0.1]), *usage, 0.8).batch == {}


@pytest.mark.parametrize(
    ("points", "best", "said"),
    [
        pytest.param((point(16), point(17, passed=False)), 16, "≥ 16, reach 20: met", id="met"),
        pytest.param((point(15), point(16, passed=False)), 15, "≥ 16, reach 20: missed", id="missed"),
        pytest.param((point(4),), 4, "≥ 16, reach 20: not tried", id="nothing above was tried"),
        pytest.param((), None, "≥ 16, reach 20: not measured", id="no server"),
    ],
)
def test_a_row_is_held_against_its_target(points: tuple[Point, ...], best: int | None, said: str) -> None:
    assert verdict(RowResult(OURS[0], best, 3.0, points)) == said


def test_a_stream_costs_its_share_of_all_cores() -> None:
    assert cost(16, cores=2, core_price=0.4).streams_per_core == 8.0
    assert cost(16, cores=2, core_price=0.4).yuan_per_stream_hour == 0.05
    assert cost(0, cores=2, core_price=0.4).yuan_per_stream_hour is None


def test_all_of_it_is_kept_and_shown(tmp_path: Path) -> None:
    results = [
        RowResult(OURS[0], 2, 1.0, (point(1), point(2), point(4, passed=False))),
        RowResult(OURS[1], None, None, (), "no such graph"),
    ]
    where = report.machine()
    document = report.to_json(results, Timing(), where, 0.36)
    report.write(tmp_path / "out" / "streams.json", document)
    kept = json.loads((tmp_path / "out" / "streams.json").read_text(encoding="utf-8"))
    assert [row["best"] for row in kept["rows"]] == [2, None]
    assert kept["rows"][0]["points"][1]["streams"] == 2
    console = Console(width=250, record=True, file=(tmp_path / "shown").open("w", encoding="utf-8"))
    report.show(console, results, where, 0.36)
    assert "no such graph" in console.export_text()


def test_it_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot needs the extra `bench`")
    drawn = RowResult(OURS[0], 2, 1.0, (point(1), point(2), point(4, passed=False)))
    plot.draw([drawn, RowResult(OURS[1], None, None, ())], tmp_path / "plot.svg", 800)
    assert "line2d" in (tmp_path / "plot.svg").read_text(encoding="utf-8")
