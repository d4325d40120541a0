"""All rows, one after the other: prepare what a row's server needs, search, keep what was found after each try.

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
from bench.streams.server import Server, ServerError, ServerSpec, running
from bench.streams.sherpa_model import sherpa_model
from bench.streams.trial import Point, Timing, failed_point, measure

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """One run. `counts`: try just these numbers of streams instead of searching; `keep` gets all results after each try."""

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
            prepared = _prepared(bench, row, setup)
            results.append(
                search_row(bench, row, server_of(row, prepared), lambda found: bench.keep([*results, found]))
            )
        except ModelsError as error:
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
    punc = row.mode != "online" and _serves_punctuation(bench, row, setup)
    if row.engine == "onnx":
        wanted = [setup.dirs.online]
        if row.mode != "online":
            wanted += [setup.dirs.offline, setup.dirs.vad, *([setup.dirs.punc] if punc else [])]
        for directory in wanted:
            model_dirs.export(directory, row.dtype, bench.tell)
    return replace(setup, punc=punc)


def _serves_punctuation(bench: Bench, row: Row, setup: Setup) -> bool:
    try:
        model_dirs.export(setup.dirs.punc, row.dtype if row.dtype == "int8" else "float32", bench.tell)
    except ModelsError as error:
        bench.tell(f"without punctuation, since its model cannot be exported: {error}")
        return False
    return True


def search_row(bench: Bench, row: Row, spec: ServerSpec, keep: Callable[[RowResult], None]) -> RowResult:
    """Try numbers of streams until the answer is known; `keep` gets what was found after each."""
    search = Search(ceiling=bench.max_streams, given=bench.counts)
    found = RowResult(row, None, None, ())
    try:
        while search.next_count is not None:
            with running(spec, bench.logs) as server:
                found = replace(found, ready_seconds=found.ready_seconds or server.ready_seconds)
                while (count := search.next_count) is not None:
                    point = _tried(bench, server, row, count)
                    bench.tell(_line(point))
                    search.record(count, passed=point.passed)
                    found = replace(found, best=search.best, points=(*found.points, point))
                    keep(found)
                    if not point.passed:
                        break
    except ServerError as error:
        bench.tell(str(error))
        found = replace(found, error=str(error))
    return found


def _tried(bench: Bench, server: Server, row: Row, count: int) -> Point:
    """A server that ends under its load has failed at that number of streams; another one may carry fewer."""
    try:
        return measure(server, row.mode, count, bench.timing, row.extra_ms)
    except ServerError as error:
        return failed_point(count, str(error))


def _line(point: Point) -> str:
    verdict = "in time" if point.passed else "late" if not point.errors else f"failed ({point.errors[0]})"
    return (
        f"  {point.streams} streams: {verdict}; lag p50 {point.lag_p50_ms} p95 {point.lag_p95_ms} ms ({point.lags}), "
        f"tail p95 {point.tail_p95_ms} ms ({point.tails}), unanswered {point.unanswered}, server {point.server_cores} cores, "
        f"clients {point.client_cores} cores ({point.client_late_percent} % late), {point.resident_mb:.0f} MB"
    )
