"""`make demo`: install, ramp, watch, judge. Exit status 0 only if every promise that the demo checks was kept."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.live import Live

from asrpool.live import Habits
from asrpool.load import LoadPlan, Progress, read_clips, run
from asrpool.report import LoadReport
from demo.install import NAMESPACE, POOL, PROJECT, install
from demo.ramp import BURST_STEP, RAMP, starts_at, target_at
from demo.samples import Sample, count, seconds_until_replicas
from demo.verdict import Result, failures
from demo.view import line, picture
from demo.watch import PoolWatch
from devcluster.errors import DevclusterError
from devcluster.target import Cluster, find_cluster

BACK_TO_ZERO_SECONDS = 90.0
LINE_SECONDS = 2.0
HELD_SECONDS = 0.5
"""A first stream that waited at least so long was held; one that found a pod is answered at once."""
UNREADABLE_SHARE = 0.1
"""Where more looks at a pod than this showed nothing, "never overfilled" is not known."""
HABITS = Habits(pause_seconds=0.8, session_seconds=12.0, redial_seconds=0.5)
"""Devices hang up now and then and call again at once: they must come back to their own pod."""


class Stage:
    """What is on the screen: a live picture on a terminal, a line every two seconds elsewhere."""

    def __init__(self, console: Console) -> None:
        self.samples: list[Sample] = []
        self.progress: Progress | None = None
        self._console = console
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        self._line_due = 0.0

    def __enter__(self) -> Stage:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def on_sample(self, sample: Sample) -> None:
        """Keep it, and show it."""
        self.samples.append(sample)
        self._show()

    def on_progress(self, progress: Progress) -> None:
        """Show it."""
        self.progress = progress
        self._show()

    def _show(self) -> None:
        sample = self.samples[-1] if self.samples else None
        if self._live is not None:
            self._live.update(picture(self.progress, sample))
        elif self.progress is not None and time.monotonic() >= self._line_due:
            self._line_due = time.monotonic() + LINE_SECONDS
            self._console.print(line(self.progress, sample), highlight=False, markup=False, soft_wrap=True)


def main() -> int:
    """Run the demo; 0 good, 1 a promise was broken, 2 it could not be set up."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--context", help="use this context of your kubeconfig (default: see `make help`, `make up`)")
    parser.add_argument("--out", type=Path, default=PROJECT / "out" / "demo.json", help="where the figures go")
    parsed = parser.parse_args()
    parsed.out.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=parsed.out.with_suffix(".log"), filemode="w", level=logging.INFO)
    console = Console()
    began = time.monotonic()
    try:
        cluster = find_cluster(console.print, context=parsed.context)
        install(cluster, console.print)
        result = asyncio.run(stream_and_watch(cluster, console))
    except DevclusterError as error:
        console.print(f"[red]the demo could not be set up:[/red] {error}")
        return 2
    result = replace(result, wall_seconds=round(time.monotonic() - began, 1))
    parsed.out.write_text(json.dumps(result.to_json(), indent=2) + "\n")
    return _judge(console, result, parsed.out)


async def stream_and_watch(cluster: Cluster, console: Console) -> Result:
    """The ramp, seen from both ends: what the devices got and what the cluster did."""
    with (
        cluster.api() as api_url,
        cluster.endpoint(NAMESPACE, f"{POOL}-gateway", 80) as (host, port),
        Stage(console) as stage,
    ):
        watching = asyncio.create_task(PoolWatch(api_url, NAMESPACE, POOL, stage.on_sample).run())
        began = time.monotonic()
        try:
            report = await run(_plan(f"ws://{host}:{port}/"), stage.on_progress)
            await _back_to_zero(stage)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    return _result(report, stage.samples, began)


def _plan(url: str) -> LoadPlan:
    clips = tuple(clip for clip in read_clips(PROJECT / "tests" / "data") if clip.name.startswith("utterance"))
    return LoadPlan(url, clips, target_at, starts_at(len(RAMP)), habits=HABITS, device_prefix="demo")


async def _back_to_zero(stage: Stage) -> None:
    deadline = time.monotonic() + BACK_TO_ZERO_SECONDS
    while time.monotonic() < deadline:
        if stage.samples and stage.samples[-1].replicas == 0 and not stage.samples[-1].pods:
            return
        await asyncio.sleep(0.5)


def _result(report: LoadReport, samples: list[Sample], began: float) -> Result:
    counts = count(samples)
    burst = began + starts_at(BURST_STEP)
    before = next((sample.replicas for sample in reversed(samples) if sample.at_seconds <= burst), 0)
    return Result(
        streams=report.sessions,
        lost=report.lost + report.unreachable,
        moved=report.moved,
        over_capacity=None if counts.unreadable_share > UNREADABLE_SHARE else counts.over_capacity_seconds,
        cer_final=None if report.error_rate is None else round(report.error_rate, 4),
        partial_p95_ms=report.partial_ms(95),
        final_p95_ms=report.final_ms(95),
        max_ready=counts.max_ready,
        final_replicas=counts.final_replicas,
        undrained=counts.undrained,
        held_at_zero=int(_first_was_held(report, samples, began + starts_at(1))),
        scale_out_seconds=seconds_until_replicas(samples, burst, before),
        drained_pods=counts.drained_pods,
        wall_seconds=0.0,
    )


def _first_was_held(report: LoadReport, samples: list[Sample], dialled: float) -> bool:
    """The first device called while no pod was there, waited, and was served."""
    before = [sample for sample in samples if sample.at_seconds <= dialled]
    opened_seconds = report.streams[0].opened_seconds if report.streams else []
    at_zero = bool(before) and not any(pod.ready for sample in before for pod in sample.pods)
    return at_zero and bool(opened_seconds) and opened_seconds[0] >= HELD_SECONDS


def _judge(console: Console, result: Result, out: Path) -> int:
    console.print_json(json.dumps(result.to_json()))
    broken = failures(result)
    for sentence in broken:
        console.print(f"[red]✗[/red] {sentence}")
    if not broken:
        console.print(
            "[green]✓[/green] every stream lived to its end, on its own pod, with the right text; the pool is at zero"
        )
    console.print(f"figures: {out}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
