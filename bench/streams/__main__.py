"""`python -m bench.streams` (`make bench-streams`): measure, print the table against its targets, keep out/streams.json."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from bench.streams import plot, report
from bench.streams.configs import SHAPES
from bench.streams.measuring import Bench, measure_rows
from bench.streams.model_dirs import CACHE, PROJECT, ModelsError
from bench.streams.report import RowResult
from bench.streams.rows import chosen
from bench.streams.trial import Timing

MANY_CORES_BUSY = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked; 0 when every row could be measured."""
    parsed = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    where = report.machine()
    if where["load_before"] > MANY_CORES_BUSY:
        _tell(f"this machine is busy (load {where['load_before']:.1f}): the figures will be worse than they should be")
    rows = chosen(parsed.engine, parsed.mode, parsed.dtype, parsed.device, _baselines(parsed.baseline))
    timing = Timing(
        seconds=parsed.seconds,
        limit_seconds=parsed.limit_ms / 1000,
        patience_seconds=parsed.patience,
        settle_seconds=parsed.settle,
    )

    def keep(results: Sequence[RowResult]) -> None:
        report.write(parsed.out, report.to_json(results, timing, where, parsed.core_price))

    bench = Bench(
        size=parsed.model_size,
        timing=timing,
        threads=parsed.threads or report.cores(),
        max_batch=parsed.max_batch,
        max_streams=parsed.max_streams,
        counts=tuple(parsed.streams or ()),
        funasr_workers=parsed.funasr_workers,
        extra_flags=tuple(parsed.serve_flags.split()),
        logs=parsed.out.parent / "streams-logs",
        cache=parsed.cache,
        tell=_tell,
        keep=keep,
    )
    try:
        results = measure_rows(bench, rows)
    except ModelsError as error:
        _tell(str(error))
        return 1
    except KeyboardInterrupt:
        _tell(f"stopped; what was measured of this run until then is in {parsed.out}")
        return 130
    if parsed.plot:
        plot.draw(results, parsed.plot, parsed.limit_ms)
    if parsed.json:
        print(json.dumps(report.to_json(results, timing, where, parsed.core_price), indent=2, ensure_ascii=False))
    else:
        report.show(Console(width=None if sys.stdout.isatty() else 220), results, where, parsed.core_price)
    return int(any(result.error for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.streams",
        description="How many live streams one worker carries in time, against FunASR's way and sherpa-onnx.",
    )
    rows = parser.add_argument_group("rows (left out: those of the table that fit the rest)")
    rows.add_argument("--engine", choices=("onnx", "torch"))
    rows.add_argument("--mode", choices=("online", "2pass"))
    rows.add_argument("--dtype", choices=("float32", "int8", "float16", "bfloat16"))
    rows.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    rows.add_argument(
        "--baseline",
        action="append",
        choices=("funasr", "sherpa", "all", "none"),
        help="repeat for more (default: all)",
    )
    work = parser.add_argument_group("the work")
    work.add_argument("--seconds", type=_positive, default=30.0, help="length of a stream and of the window (30)")
    work.add_argument("--model-size", choices=tuple(SHAPES), default="real")
    work.add_argument("--streams", type=_counts, help="try these numbers of streams, such as 1,4,8, and do not search")
    work.add_argument("--max-streams", type=int, default=128, help="the search ends here (128)")
    work.add_argument("--limit-ms", type=_positive, default=800.0, help="what is in time: p95 lag and p95 tail (800)")
    work.add_argument("--patience", type=_positive, default=10.0, help="seconds until a client gives an answer up (10)")
    work.add_argument("--settle", type=_positive, default=5.0, help="seconds from the last join to the window (5)")
    work.add_argument("--threads", type=int, default=0, help="threads of every server's model library (all cores)")
    work.add_argument("--max-batch", type=int, default=32, help="sessions in one step of our worker at most (32)")
    work.add_argument("--serve-flags", default="", help="more flags for asrpool-worker serve, in one string")
    work.add_argument("--funasr-workers", type=int, default=1, help="calls at a time in the FunASR baseline (1)")
    work.add_argument("--cache", type=Path, default=CACHE, help="where model directories are kept (%(default)s)")
    found = parser.add_argument_group("what is printed")
    found.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    found.add_argument("--plot", type=Path, metavar="FILE", help="p95 against streams, as PNG, SVG or PDF")
    found.add_argument("--out", type=Path, default=PROJECT / "out" / "streams.json", help="kept after each try")
    found.add_argument(
        "--core-price",
        type=_positive,
        default=report.YUAN_PER_CORE_HOUR,
        help="yuan for a core and an hour (%(default)s: 2.88 for 8 vCPU, 32 GiB, Alibaba Cloud ecs.g8i.2xlarge, pay as you go)",
    )
    return parser


def _baselines(named: Sequence[str] | None) -> tuple[str, ...]:
    if not named or "all" in named:
        return ("funasr", "sherpa")
    return tuple(name for name in named if name != "none")


def _counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",") if part.strip().isdecimal() and int(part) > 0]
    if len(counts) != text.count(",") + 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1,4,8")
    return counts


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} must be above 0")
    return value


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
