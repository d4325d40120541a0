"""What a load run found, stream by stream and in sum. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from asrpool.cer import character_error_rate


@dataclass
class StreamReport:
    """One device's life. It may hold several sessions: one after another where the plan says so, or after a loss.

    `lost`: sessions that had begun and ended without the answer to their end. `pods`: who answered, in order, without repeats.
    """

    device_id: str
    sessions: int = 0
    lost: int = 0
    refused: int = 0
    unreachable: int = 0
    pods: list[str] = field(default_factory=list)
    opened_seconds: list[float] = field(default_factory=list)
    audio_seconds: float = 0.0
    said: list[str] = field(default_factory=list)
    recognised: list[str] = field(default_factory=list)
    partial_seconds: list[float] = field(default_factory=list)
    final_seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        """More than one pod answered this device."""
        return len(set(self.pods)) > 1

    def answered_by(self, pod: str | None) -> None:
        """Note the pod of a new session."""
        if pod and (not self.pods or self.pods[-1] != pod):
            self.pods.append(pod)

    def to_json(self) -> dict[str, Any]:
        """For `--json`: figures instead of lists of samples."""
        return {
            "device_id": self.device_id,
            "sessions": self.sessions,
            "lost": self.lost,
            "moved": self.moved,
            "refused": self.refused,
            "pods": self.pods,
            "audio_seconds": round(self.audio_seconds, 2),
            "cer": _error_rate(zip(self.said, self.recognised, strict=True)),
            "partial_p95_ms": milliseconds(percentile(self.partial_seconds, 95)),
            "final_p95_ms": milliseconds(percentile(self.final_seconds, 95)),
            "errors": self.errors,
        }


@dataclass(frozen=True)
class LoadReport:
    """All streams of a run."""

    streams: tuple[StreamReport, ...]
    wall_seconds: float
    peak_live: int

    @property
    def sessions(self) -> int:
        """Sessions that began."""
        return sum(stream.sessions for stream in self.streams)

    @property
    def lost(self) -> int:
        """Sessions that were cut."""
        return sum(stream.lost for stream in self.streams)

    @property
    def moved(self) -> int:
        """Devices that more than one pod answered."""
        return sum(stream.moved for stream in self.streams)

    @property
    def refused(self) -> int:
        """Times that a device was told to come back later."""
        return sum(stream.refused for stream in self.streams)

    @property
    def unreachable(self) -> int:
        """Times that no connection could be made at all."""
        return sum(stream.unreachable for stream in self.streams)

    @property
    def error_rate(self) -> float | None:
        """Character error rate of all finals, over sessions that were not lost; None where no texts are known."""
        return _error_rate(pair for stream in self.streams for pair in zip(stream.said, stream.recognised, strict=True))

    def partial_ms(self, percent: float) -> float | None:
        """Percentile of all partial latencies."""
        return milliseconds(percentile([value for stream in self.streams for value in stream.partial_seconds], percent))

    def final_ms(self, percent: float) -> float | None:
        """Percentile of all final latencies."""
        return milliseconds(percentile([value for stream in self.streams for value in stream.final_seconds], percent))

    @property
    def longest_open_seconds(self) -> float:
        """The longest that a newcomer was held before it was served."""
        return max((value for stream in self.streams for value in stream.opened_seconds), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """The whole report."""
        rate = self.error_rate
        return {
            "streams": len(self.streams),
            "sessions": self.sessions,
            "lost": self.lost,
            "moved": self.moved,
            "refused": self.refused,
            "unreachable": self.unreachable,
            "peak_live": self.peak_live,
            "cer": rate,
            "partial_ms": {f"p{percent}": self.partial_ms(percent) for percent in (50, 95, 99)},
            "final_ms": {f"p{percent}": self.final_ms(percent) for percent in (50, 95, 99)},
            "longest_open_seconds": round(self.longest_open_seconds, 3),
            "audio_seconds": round(sum(stream.audio_seconds for stream in self.streams), 1),
            "wall_seconds": round(self.wall_seconds, 1),
            "by_stream": [stream.to_json() for stream in self.streams],
        }


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(1, math.ceil(percent / 100 * len(ordered))) - 1]


def milliseconds(seconds: float | None) -> float | None:
    """For people and for JSON."""
    return None if seconds is None else round(seconds * 1000, 1)


def _error_rate(pairs: Iterable[tuple[str, str]]) -> float | None:
    known = [(said, recognised) for said, recognised in pairs if said]
    return round(character_error_rate(known), 5) if known else None
