"""`asrpool load`: many devices at once, and a report on what they got. `run` is the same for programs.

Devices are started and stopped so that as many are live as the plan's target says for each moment. A device that is no
longer wanted ends politely (see `asrpool.live`), so a falling target loses nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asrpool.audio import read_audio
from asrpool.client import MODES, StreamRequest
from asrpool.errors import UsageError
from asrpool.live import Clip, Habits, LiveStream, Stage
from asrpool.report import LoadReport, milliseconds, percentile

_BEAT_SECONDS = 0.25
_RECENT_SAMPLES = 200


@dataclass(frozen=True)
class LoadPlan:
    """What to do: `target` gives the wanted number of live streams for each second since the start."""

    url: str
    clips: tuple[Clip, ...]
    target: Callable[[float], int]
    duration_seconds: float
    mode: str | None = None
    habits: Habits = field(default_factory=Habits)
    device_prefix: str = "load"
    open_seconds: float = 120.0
    seed: int = 1


@dataclass(frozen=True)
class Progress:
    """A run's state at one moment, for live views. `dialling`: streams that wait to be let in."""

    at_seconds: float
    target: int
    live: int
    dialling: int
    ending: int
    lost: int
    moved: int
    refused: int
    partial_p95_ms: float | None
    final_p95_ms: float | None


async def run(
    plan: LoadPlan,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
    stop: asyncio.Event | None = None,
) -> LoadReport:
    """Follow the plan to its end, or until `stop` is set; every stream is ended politely either way."""
    crowd = _Crowd(plan)
    began = time.monotonic()
    stopping = stop or asyncio.Event()
    while not stopping.is_set() and (at := time.monotonic() - began) < plan.duration_seconds:
        crowd.follow(plan.target(at))
        on_progress(crowd.progress(at))
        try:
            async with asyncio.timeout(min(_BEAT_SECONDS, plan.duration_seconds - at)):
                await stopping.wait()
        except TimeoutError:
            continue
    crowd.follow(0)
    while crowd.busy:
        on_progress(crowd.progress(time.monotonic() - began))
        await crowd.wait(_BEAT_SECONDS)
    on_progress(crowd.progress(time.monotonic() - began))
    return LoadReport(tuple(stream.report for stream in crowd.streams), time.monotonic() - began, crowd.peak_live)


class _Crowd:
    """All devices of a run."""

    def __init__(self, plan: LoadPlan) -> None:
        self.streams: list[LiveStream] = []
        self.peak_live = 0
        self._plan = plan
        self._random = random.Random(plan.seed)  # noqa: S311 - who hangs up first is no secret
        self._tasks: set[asyncio.Task[object]] = set()
        self._target = 0

    @property
    def busy(self) -> bool:
        """Streams are still on their way out."""
        return bool(self._tasks)

    def follow(self, target: int) -> None:
        """Start or stop devices until so many are wanted."""
        self._target = target
        wanted = [stream for stream in self.streams if stream.wanted]
        for stream in self._random.sample(wanted, max(0, len(wanted) - target)):
            stream.stop()
        for _ in range(target - len(wanted)):
            self._start()
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            task.result()

    async def wait(self, seconds: float) -> None:
        """Until all are gone or the time is over."""
        done, self._tasks = await asyncio.wait(self._tasks, timeout=seconds)
        for task in done:
            task.result()
        self._count_live()

    def progress(self, at_seconds: float) -> Progress:
        """The present state."""
        live = self._count_live()
        reports = [stream.report for stream in self.streams]
        partials = [value for report in reports for value in report.partial_seconds[-_RECENT_SAMPLES:]]
        finals = [value for report in reports for value in report.final_seconds[-_RECENT_SAMPLES:]]
        return Progress(
            at_seconds=at_seconds,
            target=self._target,
            live=live,
            dialling=self._count(Stage.DIALLING),
            ending=self._count(Stage.ENDING),
            lost=sum(report.lost for report in reports),
            moved=sum(report.moved for report in reports),
            refused=sum(report.refused for report in reports),
            partial_p95_ms=milliseconds(percentile(partials, 95)),
            final_p95_ms=milliseconds(percentile(finals, 95)),
        )

    def _start(self) -> None:
        plan, number = self._plan, len(self.streams) + 1
        device_id = f"{plan.device_prefix}-{number:04d}"
        request = StreamRequest(
            plan.url,
            plan.mode,
            device_id,
            wav_name=device_id,
            itn=False,  # texts are compared with what was said, and nobody says figures
            open_seconds=plan.open_seconds,
        )
        stream = LiveStream(request, plan.clips, plan.habits, seed=plan.seed * 100_003 + number)
        self.streams.append(stream)
        self._tasks.add(asyncio.create_task(stream.run()))

    def _count(self, stage: Stage) -> int:
        return sum(stream.stage is stage for stream in self.streams)

    def _count_live(self) -> int:
        live = self._count(Stage.LIVE)
        self.peak_live = max(self.peak_live, live + self._count(Stage.ENDING))
        return live


def read_clips(folder: Path) -> tuple[Clip, ...]:
    """The folder's WAV files, with their texts from `texts.json` ({"file.wav": "text"}) where there is one. Raises `UsageError`."""
    files = sorted(folder.glob("*.wav"))
    if not files:
        raise UsageError(f"--folder {folder}: no *.wav in it")
    texts: dict[str, str] = {}
    if (folder / "texts.json").exists():
        try:
            texts = dict(json.loads((folder / "texts.json").read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise UsageError(f'{folder / "texts.json"} must be one object {{"file.wav": "text"}}: {error}') from error
    clips = tuple(Clip(file.name, read_audio(file), str(texts.get(file.name, ""))) for file in files)
    rates = {clip.pcm.sample_rate_hz for clip in clips}
    if len(rates) > 1:
        raise UsageError(f"--folder {folder}: files of several sample rates {sorted(rates)}; make them one")
    return clips


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Register the command."""
    parser = commands.add_parser(
        "load",
        help="many live streams",
        description="Keep many live streams going in real time and report latency, error rate, lost and moved streams.",
        epilog="exit status: 0 nothing was lost, moved or unreachable; 1 otherwise; 2 wrong usage",
    )
    parser.add_argument("--url", default="ws://127.0.0.1:10095", help="the gateway or a worker (default: %(default)s)")
    parser.add_argument("--folder", type=Path, required=True, help="WAV files, with texts.json for the error rate")
    parser.add_argument("--streams", type=_positive_integer, required=True, metavar="N", help="live streams at once")
    parser.add_argument("--ramp", type=_seconds, default=0.0, help="seconds from no stream to all (default: 0)")
    parser.add_argument("--duration", type=_seconds, default=60.0, help="seconds in all (default: 60)")
    parser.add_argument(
        "--mode", choices=MODES, help="FunASR's mode (default: 2pass, or what the server's models allow)"
    )
    parser.add_argument(
        "--pause", type=_seconds, default=1.0, help="silence between two files, in seconds (default: 1)"
    )
    parser.add_argument(
        "--session-seconds", type=_seconds, help="hang up after so long and call again as the same device"
    )
    parser.add_argument(
        "--end-each", action="store_true", help="end the utterance after each file: a final latency for each"
    )
    parser.add_argument("--device-prefix", default="load", help="devices are named PREFIX-0001, ... (default: load)")
    parser.add_argument("--seed", type=int, default=1, help="which file comes when (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=command)


def command(parsed: argparse.Namespace) -> int:
    """Run the load; 0 when nothing went wrong."""
    plan = LoadPlan(
        url=parsed.url,
        clips=read_clips(parsed.folder),
        target=lambda at: ramp_target(at, parsed.streams, parsed.ramp),
        duration_seconds=parsed.duration,
        mode=parsed.mode,
        habits=Habits(
            pause_seconds=parsed.pause, session_seconds=parsed.session_seconds, end_each_clip=parsed.end_each
        ),
        device_prefix=parsed.device_prefix,
        seed=parsed.seed,
    )
    report = asyncio.run(_watched(plan))
    if parsed.json:
        print(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        from asrpool.load_view import print_report

        print_report(report)
    return int(bool(report.lost or report.moved or report.unreachable or not report.sessions))


def ramp_target(at_seconds: float, streams: int, ramp_seconds: float) -> int:
    """Streams wanted while ramping evenly: the first at once, all when the ramp is over."""
    if at_seconds >= ramp_seconds:
        return streams
    return min(streams, 1 + int(streams * at_seconds / ramp_seconds))


async def _watched(plan: LoadPlan) -> LoadReport:
    """Run with a progress bar on a terminal's stderr. The first Ctrl-C ends the streams politely, a second one at once."""
    from asrpool.load_view import ProgressView

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end_politely() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    loop.add_signal_handler(signal.SIGINT, end_politely)
    with ProgressView(plan.duration_seconds, sys.stderr) as view:
        return await run(plan, view.show, stop)


def _positive_integer(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:9]) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e7:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
