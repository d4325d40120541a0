"""All rows, one after the other: prepare what a row's server needs, search, keep what was found after each row.

A row that cannot be measured (an export that fails, a server that does not start) says so and the next one goes on.
After a try that failed the server is started anew, since it may still be working off what was left to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.streams import model_dirs
from bench.streams.configs import Size
from bench.streams.model_dirs import ModelsError
from bench.streams.report import RowResult
from bench.streams.rows import Row, Setup, server_of
from bench.streams.search import Search
from bench.streams.server import ServerError, running
from bench.streams.sherpa_model import sherpa_model
from bench.streams.trial import Point, Timing, measure

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """One run. `counts`: try just these numbers of streams instead of searching; `keep` gets all results after each row."""

    size: Size
    timing: Timing
    threads: int
    max_batch: int
    max_streams: int
    counts: tuple[int, ...]
    funasr_workers: int
    extra_flags: tuple[str, ...]
    logs: Path
    cache: Path
    tell: Tell
    keep: Callable[[Sequence[RowResult]], None]


def measure_rows(bench: Bench, rows: Sequence[Row]) -> list[RowResult]:
    """Every row. Raises `ModelsError` where even the weights cannot be made."""
    dirs = model_dirs.make(bench.size, bench.tell, bench.cache)
    setup = Setup(dirs, None, bench.threads, bench.max_batch, False, bench.funasr_workers, bench.extra_flags)  # noqa: FBT003 - `punc`, known only later
    results: list[RowResult] = []
    for row in rows:
        bench.tell(f"— {row.name}")
        try:
            results.append(_measure_row(bench, row, _prepared(bench, row, setup)))
        except (ModelsError, ServerError) as error:
            bench.tell(str(error))
            results.append(RowResult(row, None, None, (), str(error)))
        bench.keep(results)
    return results


def _prepared(bench: Bench, row: Row, setup: Setup) -> Setup:
    """Export what the row's server reads."""
    if row.kind == "sherpa":
        return replace(setup, sherpa_model=sherpa_model(setup.dirs.online, bench.cache / bench.size, bench.tell))
    if row.kind != "asrpool":
        return setup
    punc = row.mode != "online" and _serves_punctuation(bench, setup)
    if row.engine == "onnx":
        wanted = [setup.dirs.online]
        if row.mode != "online":
            wanted += [setup.dirs.offline, setup.dirs.vad, *([setup.dirs.punc] if punc else [])]
        for directory in wanted:
            model_dirs.export(directory, "float32", bench.tell)
            if row.dtype == "int8":
                model_dirs.export(directory, "int8", bench.tell)
    return replace(setup, punc=punc)


def _serves_punctuation(bench: Bench, setup: Setup) -> bool:
    try:
        model_dirs.export(setup.dirs.punc, "float32", bench.tell)
    except ModelsError as error:
        bench.tell(f"without punctuation, since its model cannot be exported: {error}")
        return False
    return True


def _measure_row(bench: Bench, row: Row, setup: Setup) -> RowResult:
    spec = server_of(row, setup)
    search = Search(ceiling=bench.max_streams)
    counts = list(bench.counts)
    points: list[Point] = []
    ready_seconds: float | None = None
    error = ""

    def next_count() -> int | None:
        return (counts[0] if counts else None) if bench.counts else search.next_count

    while not error and (count := next_count()) is not None:
        with running(spec, bench.logs) as server:
            ready_seconds = server.ready_seconds if ready_seconds is None else ready_seconds
            passed = True
            while passed and (count := next_count()) is not None:
                try:
                    point = measure(server, row.mode, count, bench.timing, row.extra_ms)
                except ServerError as gone:
                    error = f"with {count} streams: {gone}"
                    break
                passed = point.passed
                points.append(point)
                bench.tell(_line(point))
                if counts:
                    counts.pop(0)
                search.record(count, passed=passed)
    return RowResult(row, search.best if search.tried else None, ready_seconds, tuple(points), error)


def _line(point: Point) -> str:
    verdict = "in time" if point.passed else "late" if not point.errors else f"failed ({point.errors[0]})"
    return (
        f"  {point.streams} streams: {verdict}; lag p50 {point.lag_p50_ms} p95 {point.lag_p95_ms} ms ({point.lags}), "
        f"tail p95 {point.tail_p95_ms} ms ({point.tails}), unanswered {point.unanswered}, server {point.server_cores} cores, "
        f"clients {point.client_cores} cores ({point.client_late_percent} % late), {point.resident_mb:.0f} MB"
    )
