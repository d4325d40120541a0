"""Live streams for a test: as many as it wants at each moment, real speech in real time, through the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from asrpool.live import Habits
from asrpool.load import LoadPlan, Progress, read_clips, run
from asrpool.report import LoadReport
from tests.cluster.waiting import eventually

SPEECH = Path(__file__).resolve().parents[1] / "data"
_FOR_EVER_SECONDS = 3600.0


class Streams:
    """Devices that talk until they are told to stop. `want(n)` changes how many; `end()` gives the report."""

    def __init__(self, url: str, *, seed: int = 1, devices: str = "test", mode: str = "2pass") -> None:
        clips = tuple(clip for clip in read_clips(SPEECH) if not clip.name.startswith("noisy"))
        self._wanted = 0
        self._stop = asyncio.Event()
        self._progress: Progress | None = None
        plan = LoadPlan(
            url,
            clips,
            target=lambda _at: self._wanted,
            duration_seconds=_FOR_EVER_SECONDS,
            mode=mode,
            habits=Habits(pause_seconds=0.5),
            device_prefix=devices,
            seed=seed,
        )
        self._task = asyncio.create_task(run(plan, self._keep, self._stop))

    def _keep(self, progress: Progress) -> None:
        self._progress = progress

    def want(self, streams: int) -> None:
        """So many from now on; those too many end politely after their present clip."""
        self._wanted = streams

    @property
    def live(self) -> int:
        """Streams that are connected and talk."""
        return 0 if self._progress is None else self._progress.live

    @property
    def lost(self) -> int:
        """Streams that were cut so far."""
        return 0 if self._progress is None else self._progress.lost

    async def until_live(self, streams: int, *, within_seconds: float = 60.0) -> None:
        """Wait until exactly so many are live."""

        async def look() -> int:
            return self.live

        await eventually(
            look, lambda live: live == streams, within_seconds=within_seconds, what=f"{streams} live streams"
        )

    async def end(self) -> LoadReport:
        """All end politely; what they got."""
        self._wanted = 0
        self._stop.set()
        return await self._task


@contextlib.asynccontextmanager
async def streaming(url: str, *, devices: str = "test", seed: int = 1) -> AsyncIterator[Streams]:
    """Streams that are ended when the test is over, also when it failed."""
    streams = Streams(url, devices=devices, seed=seed)
    try:
        yield streams
    finally:
        await streams.end()


def assert_nothing_lost(report: LoadReport) -> None:
    """Invariants 1 and 3, as the devices see them, and that they were understood."""
    told = [error for stream in report.streams for error in stream.errors]
    assert (report.lost, report.moved, report.unreachable) == (0, 0, 0), told
    assert report.error_rate is not None
    assert report.error_rate <= 0.1, f"character error rate {report.error_rate}"
