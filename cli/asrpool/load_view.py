"""What `asrpool load` shows: a progress bar while it runs, a table at the end."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from asrpool.report import LoadReport, milliseconds, percentile

if TYPE_CHECKING:
    from asrpool.load import Progress as LoadProgress


class ProgressView:
    """A bar over the run's time, with the figures that matter beside it. Shows nothing where there is no terminal."""

    def __init__(self, duration_seconds: float, stream: TextIO) -> None:
        console = Console(file=stream)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("starting", total=duration_seconds)

    def show(self, progress: LoadProgress) -> None:
        """Take a new state."""
        latency = "" if progress.partial_p95_ms is None else f"  partial p95 {progress.partial_p95_ms:.0f} ms"
        self._bar.update(
            self._task,
            completed=progress.at_seconds,
            description=f"{progress.live}/{progress.target} live, {progress.dialling} waiting, {progress.ending} ending, "
            f"{progress.lost} lost, {progress.moved} moved, {progress.refused} refused{latency}",
        )

    def __enter__(self) -> ProgressView:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def print_report(report: LoadReport) -> None:
    """The table of streams and the sums below it."""
    table = Table("stream", "pods", "sessions", "lost", "refused", "partial p95", "final p95", box=None)
    for stream in report.streams:
        table.add_row(
            stream.device_id,
            " → ".join(stream.pods) or "-",
            str(stream.sessions),
            str(stream.lost),
            str(stream.refused),
            _shown(milliseconds(percentile(stream.partial_seconds, 95))),
            _shown(milliseconds(percentile(stream.final_seconds, 95))),
        )
    console = Console()
    console.print(table)
    rate = report.error_rate
    console.print(
        f"{report.sessions} sessions of {len(report.streams)} devices, at most {report.peak_live} live: {report.lost} lost, "
        f"{report.moved} moved, {report.refused} refusals, {report.unreachable} unreachable",
        soft_wrap=True,
    )
    console.print(
        f"partial p50/p95/p99 {_shown(report.partial_ms(50))} / {_shown(report.partial_ms(95))} / {_shown(report.partial_ms(99))}, "
        f"final p95 {_shown(report.final_ms(95))}, longest wait to be let in {report.longest_open_seconds:.1f} s, "
        f"character error rate {'unknown' if rate is None else f'{rate:.1%}'}",
        soft_wrap=True,
    )
    for stream in report.streams:
        for error in sorted(set(stream.errors)):
            console.print(f"{stream.device_id}: {error}", style="red", markup=False, soft_wrap=True)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
