"""From what was measured to `out/demo.json` and an exit status: the one place that says what a good demo is."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """The figures of one demo, as written to `out/demo.json`.

    `moved`: sessions answered by more than one pod. `over_capacity`: seconds in which any pod held more sessions than
    its capacity. `scale_out_seconds`: from the burst to the raised replica count. `None`: it could not be measured.
    """

    streams: int
    lost: int
    moved: int
    over_capacity: float | None
    cer_final: float | None
    partial_p95_ms: float | None
    final_p95_ms: float | None
    max_ready: int
    final_replicas: int
    undrained: int
    held_at_zero: int
    scale_out_seconds: float | None
    drained_pods: int
    wall_seconds: float

    def to_json(self) -> dict[str, float | int | None]:
        """The fields under the names of the file."""
        return asdict(self)


CER_LIMIT = 0.05
MIN_READY = 3


def failures(result: Result) -> list[str]:
    """Every reason why this demo did not do its job, in words; empty when it did."""
    checks = [
        (result.streams > 0, "no stream was sent"),
        (result.lost == 0, f"{result.lost} of {result.streams} streams were lost"),
        (result.moved == 0, f"{result.moved} sessions were answered by more than one pod"),
        (
            result.over_capacity is not None,
            "too often no pod showed its sessions, so nobody knows if one was overfilled",
        ),
        (not result.over_capacity, f"a pod held more than its capacity for {result.over_capacity} s"),
        (result.cer_final is not None, "no final text came back, so there is no error rate"),
        (
            result.cer_final is None or result.cer_final <= CER_LIMIT,
            f"the character error rate is {result.cer_final}, above {CER_LIMIT}",
        ),
        (result.max_ready >= MIN_READY, f"at most {result.max_ready} pods were ready at once, fewer than {MIN_READY}"),
        (result.final_replicas == 0, f"{result.final_replicas} replicas were left after the last stream"),
        (result.held_at_zero >= 1, "the first stream was not held and served from zero pods"),
    ]
    return [sentence for good, sentence in checks if not good]
