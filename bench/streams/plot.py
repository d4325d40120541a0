"""p95 lag and p95 tail against the number of streams, one line for each row. Needs matplotlib (extra `bench`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.streams.report import RowResult

PARTS = (("lag_p95_ms", "p95 lag of partials, ms"), ("tail_p95_ms", "p95 tail, ms"))


def draw(results: Sequence[RowResult], path: Path, limit_ms: float) -> None:
    """Write the picture; its kind follows from the file's ending."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (field, label) in zip(figure.subplots(1, 2, sharex=True), PARTS, strict=True):
        for result in results:
            found = sorted(
                (point.streams, getattr(point, field)) for point in result.points if getattr(point, field) is not None
            )
            if found:
                axes.plot(*zip(*found, strict=True), marker="o", label=result.row.name)
        axes.axhline(limit_ms, color="grey", linestyle="--", linewidth=1)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("live streams")
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.3)
    if figure.axes[0].lines:
        figure.axes[0].legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
