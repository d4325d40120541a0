"""How many live streams the demo wants at each moment: 0 → 1 → 12 → 3 → 12 → 0."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Hold `streams` live streams for `seconds`; `why` is what the person watching should look for."""

    streams: int
    seconds: float
    why: str


RAMP = (
    Step(0, 3.0, "nobody speaks: no pods, no cost"),
    Step(1, 14.0, "the gateway holds the first stream while a pod starts"),
    Step(12, 40.0, "a crowd comes: pods are added, newcomers wait, nobody is refused"),
    Step(3, 15.0, "most leave: emptying pods are drained, live streams stay where they are"),
    Step(12, 30.0, "they come back: draining pods take newcomers again before new ones start"),
)
BURST_STEP = 2


def target_at(seconds: float, ramp: tuple[Step, ...] = RAMP) -> int:
    """Streams wanted `seconds` after the start; 0 before and after the ramp."""
    if seconds < 0:
        return 0
    for step in ramp:
        if seconds < step.seconds:
            return step.streams
        seconds -= step.seconds
    return 0


def starts_at(index: int, ramp: tuple[Step, ...] = RAMP) -> float:
    """Seconds from the start at which step `index` begins."""
    return sum(step.seconds for step in ramp[:index])
