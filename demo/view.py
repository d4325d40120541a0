"""The demo's live picture: streams, pods and their states, latency, and what the operator last decided."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from asrpool.load import Progress
from demo.ramp import RAMP, starts_at
from demo.samples import PodSample, PodState, Sample

_COLOURS = {
    PodState.STARTING: "yellow",
    PodState.READY: "green",
    PodState.DRAINING: "magenta",
    PodState.ENDING: "red",
}


def picture(progress: Progress | None, sample: Sample | None) -> RenderableType:
    """One frame. Either half may still be missing."""
    parts: list[RenderableType] = []
    if progress is not None:
        parts.append(_streams(progress))
    if sample is not None:
        parts.append(_pods(sample))
        parts.append(Text(f"operator: {sample.reason or '–'}", style="dim"))
    return Panel(Group(*parts), title="asrpool demo", border_style="blue")


def line(progress: Progress, sample: Sample | None) -> str:
    """The same in one line, for logs and pipes."""
    pods = " ".join(f"{pod.state}:{_load(pod)}" for pod in sample.pods) if sample else ""
    replicas = sample.replicas if sample else "?"
    return (
        f"{progress.at_seconds:5.1f}s  wanted {progress.target:2}  live {progress.live:2}  held {progress.dialling:2}  "
        f"lost {progress.lost}  replicas {replicas}  [{pods}]  "
        f"partial p95 {_ms(progress.partial_p95_ms)}  final p95 {_ms(progress.final_p95_ms)}"
    )


def _streams(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(
        f"{progress.at_seconds:.0f} s",
        f"[b]{progress.live}[/b] live of {progress.target} wanted",
        f"{progress.dialling} held at the gateway",
        f"lost [b]{progress.lost}[/b]  moved [b]{progress.moved}[/b]  refused {progress.refused}",
        f"p95: partial {_ms(progress.partial_p95_ms)}, final {_ms(progress.final_p95_ms)}",
    )
    step = max((index for index in range(len(RAMP)) if starts_at(index) <= progress.at_seconds), default=0)
    over = progress.at_seconds >= starts_at(len(RAMP))
    table.add_row("", Text("everybody leaves: back to zero" if over else RAMP[step].why, style="italic"))
    return table


def _pods(sample: Sample) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("worker pod", "state", "sessions"):
        table.add_column(heading)
    for pod in sample.pods:
        bar = "●" * (pod.active or 0) + "○" * max(0, (pod.capacity or 0) - (pod.active or 0))
        table.add_row(pod.name, Text(pod.state, style=_COLOURS[pod.state]), bar or "–")
    if not sample.pods:
        table.add_row("none", "", "")
    return table


def _load(pod: PodSample) -> str:
    return "–" if pod.active is None else f"{pod.active}/{pod.capacity}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"
