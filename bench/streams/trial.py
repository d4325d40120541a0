"""One try: a server that is ready, N streams, a steady window, and what was found in it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from prometheus_client.parser import text_string_to_metric_families

from asrpool.report import percentile
from bench.streams.clients import Heard, Plan
from bench.streams.model_dirs import PROJECT
from bench.streams.server import Server, Usage

START_SECONDS = 3.0
"""For the client process to import and to make its speech."""

JOIN_SECONDS, SETTLE_SECONDS = 3.0, 5.0
PERCENTILE = 95


@dataclass(frozen=True)
class Timing:
    """How long a try takes, and what counts as in time."""

    seconds: float = 30.0
    limit_seconds: float = 0.8
    patience_seconds: float = 10.0
    join_seconds: float = JOIN_SECONDS
    settle_seconds: float = SETTLE_SECONDS
    start_seconds: float = START_SECONDS


@dataclass(frozen=True)
class Point:
    """What one number of streams gave. Waits in ms; CPU in cores; from /metrics the means of `batch` and `step_ms` by stage, and
    the `gpu` as it was at the window's end (its `utilization_ratio`, `memory_used_bytes`; nothing where there is none).
    """

    streams: int
    passed: bool
    lag_p50_ms: float | None
    lag_p95_ms: float | None
    tail_p50_ms: float | None
    tail_p95_ms: float | None
    lags: int
    tails: int
    unanswered: int
    errors: tuple[str, ...]
    server_cores: float
    client_cores: float
    client_late_percent: float
    resident_mb: float
    batch: dict[str, float]
    step_ms: dict[str, float]
    server_lag_ms: float | None
    gpu: dict[str, float]


def measure(server: Server, mode: str, streams: int, timing: Timing, extra_ms: float) -> Point:
    """Drive `streams` streams for one window. Raises `ServerError` when the server ends meanwhile."""
    begin_at = time.monotonic() + timing.start_seconds + 0.05 * streams
    window_from = begin_at + timing.join_seconds + timing.settle_seconds
    window = (window_from, window_from + timing.seconds)
    plan = Plan(
        server.url,
        mode,
        streams,
        timing.seconds,
        begin_at,
        timing.join_seconds,
        window,
        timing.patience_seconds,
        timing.limit_seconds,
        extra_ms,
        seed=streams,
    )
    client = subprocess.Popen(
        [sys.executable, "-m", "bench.streams.clients", json.dumps(asdict(plan))],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _sleep_until(window[0])
        before = server.usage()
        _sleep_until(window[1])
        after = server.usage()
        longest = 2 * timing.patience_seconds + 30
        output, _ = client.communicate(timeout=longest)
    except subprocess.TimeoutExpired:
        return failed_point(streams, "the client process did not end in time")
    finally:
        client.kill()
        client.wait()
    if client.returncode:
        return failed_point(streams, f"the client process ended with exit status {client.returncode}")
    return point_of(streams, Heard(**json.loads(output)), before, after, timing.limit_seconds)


def point_of(streams: int, heard: Heard, before: Usage, after: Usage, limit_seconds: float) -> Point:
    """The figures of one window, and whether it passed: all answered, nobody lost, both percentiles within the limit."""
    lag, tail = percentile(heard.lags, PERCENTILE), percentile(heard.tails, PERCENTILE)
    in_time = lag is not None and tail is not None and max(lag, tail) <= limit_seconds
    batch, step = _steps(before.metrics, after.metrics)
    return Point(
        streams=streams,
        passed=in_time and not heard.errors,
        lag_p50_ms=_ms(percentile(heard.lags, 50)),
        lag_p95_ms=_ms(lag),
        tail_p50_ms=_ms(percentile(heard.tails, 50)),
        tail_p95_ms=_ms(tail),
        lags=len(heard.lags),
        tails=len(heard.tails),
        unanswered=heard.unanswered,
        errors=tuple(sorted(set(heard.errors)))[:5],
        server_cores=round((after.cpu_seconds - before.cpu_seconds) / (after.at - before.at), 3),
        client_cores=round(heard.cpu_share, 3),
        client_late_percent=round(100 * heard.late / max(1, heard.frames), 2),
        resident_mb=round(after.resident_bytes / 1e6, 1),
        batch=batch,
        step_ms=step,
        server_lag_ms=_ms(_mean(before.metrics, after.metrics, "asrpool_partial_latency_seconds").get("")),
        gpu=_gauges(after.metrics, "asrpool_gpu_"),
    )


def failed_point(streams: int, error: str) -> Point:
    """A try that gave no figures."""
    return Point(streams, False, None, None, None, None, 0, 0, 0, (error,), 0.0, 0.0, 0.0, 0.0, {}, {}, None, {})  # noqa: FBT003 - one of many figures


def _steps(before: str, after: str) -> tuple[dict[str, float], dict[str, float]]:
    rows = _mean(before, after, "asrpool_batch_size")
    seconds = _mean(before, after, "asrpool_step_seconds")
    return (
        {stage: round(value, 2) for stage, value in rows.items()},
        {stage: round(1000 * value, 2) for stage, value in seconds.items()},
    )


def _mean(before: str, after: str, name: str) -> dict[str, float]:
    """A histogram's mean over the window, by its `stage` ("" where it has none)."""
    sums, counts = _grown(before, after, f"{name}_sum"), _grown(before, after, f"{name}_count")
    return {stage: sums[stage] / count for stage, count in counts.items() if count > 0 and stage in sums}


def _grown(before: str, after: str, sample: str) -> dict[str, float]:
    earlier, later = _samples(before, sample), _samples(after, sample)
    return {stage: value - earlier.get(stage, 0.0) for stage, value in later.items()}


def _samples(text: str, name: str) -> dict[str, float]:
    return {
        sample.labels.get("stage", ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def _gauges(text: str, prefix: str) -> dict[str, float]:
    """The last part of each name that begins with `prefix`, and its value."""
    families = text_string_to_metric_families(text)
    found = [sample for family in families for sample in family.samples if sample.name.startswith(prefix)]
    return {sample.name.removeprefix(prefix): sample.value for sample in found}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.monotonic()))
