"""What was found, for people and for machines: the table against its targets, the cost, and out/streams.json."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.streams.rows import Row
from bench.streams.trial import Point, Timing

YUAN_PER_CORE_HOUR = 0.36
"""The default of --core-price: 2.88 yuan an hour for 8 vCPU and 32 GiB (Alibaba Cloud ecs.g8i.2xlarge, pay as you go, as
quoted publicly in 2025). Subscriptions and spot instances cost a fraction of it: give your own."""

PACKAGES = ("torch", "onnxruntime", "funasr", "sherpa-onnx", "numpy")


@dataclass(frozen=True)
class RowResult:
    """One row's search. `best`: the most streams in time; None where the row could not be measured (`error` says why)."""

    row: Row
    best: int | None
    ready_seconds: float | None
    points: tuple[Point, ...]
    error: str = ""

    @property
    def bounded(self) -> bool:
        """Whether more streams than `best` were tried, and were late."""
        return any(not point.passed for point in self.points)

    @property
    def found(self) -> str:
        """`best` for people: with a + where more may go."""
        return "–" if self.best is None else f"{self.best}{'' if self.bounded else '+'}"

    @property
    def at_best(self) -> Point | None:
        """The point of `best`."""
        return next((point for point in self.points if point.streams == self.best), None)

    @property
    def alone(self) -> Point | None:
        """The point of one stream."""
        return next((point for point in self.points if point.streams == 1), None)


@dataclass(frozen=True)
class Cost:
    """What a stream costs on the machine's cores when they carry `best` streams."""

    streams_per_core: float
    yuan_per_stream_hour: float | None


def cost(best: int, cores: int, core_price: float) -> Cost:
    """Of all cores that the server may use, busy or not: that is what a pod pays for."""
    per_core = best / cores
    return Cost(round(per_core, 3), round(core_price / per_core, 4) if per_core else None)


def cores() -> int:
    """Cores that this process, and so its servers, may run on."""
    return len(os.sched_getaffinity(0))


def machine() -> dict[str, Any]:
    """Where it was measured."""
    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    flags = next((line for line in _lines("/proc/cpuinfo") if line.startswith("flags")), "")
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": cores(),
        "vnni": "avx512_vnni" in flags or "avx_vnni" in flags,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def to_json(results: Sequence[RowResult], timing: Timing, where: dict[str, Any], core_price: float) -> dict[str, Any]:
    """All that was found."""
    rows = []
    for result in results:
        found = asdict(result)
        found["name"] = result.row.name
        if result.best is not None:
            found["cost"] = asdict(cost(result.best, where["cores"], core_price))
        rows.append(found)
    return {"machine": where, "timing": asdict(timing), "yuan_per_core_hour": core_price, "rows": rows}


def write(path: Path, document: dict[str, Any]) -> None:
    """Replace `path` at once, so that who reads it while the bench runs finds a whole document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".json", delete=False) as draft:
        json.dump(document, draft, indent=2, ensure_ascii=False)
    Path(draft.name).chmod(0o644)
    Path(draft.name).replace(path)


def show(console: Console, results: Sequence[RowResult], where: dict[str, Any], core_price: float) -> None:
    """The table, then what could not be measured."""
    title = f"live streams with p95 lag and p95 tail in time · {where['cpu']}, {where['cores']} cores"
    table = Table(title=title)
    for column in ("server", "mode", "engine", "dtype", "device", "streams", "target", "FunASR", "sherpa"):
        table.add_column(column)
    for column in ("lag p50/p95 ms", "tail p95 ms", "at 1: lag p50", "CPU", "MB", "batch", "ready s", "/core", "¥/h"):
        table.add_column(column, justify="right")
    for result in results:
        table.add_row(*_cells(result, results, where["cores"], core_price))
    console.print(table)
    for result in results:
        if result.error:
            console.print(f"{result.row.name}: {result.error}", markup=False)


def _cells(result: RowResult, results: Sequence[RowResult], core_count: int, core_price: float) -> list[str]:
    row, point, alone = result.row, result.at_best, result.alone
    ours = row.kind == "asrpool"
    named = [row.kind, row.mode, row.engine, row.dtype, row.device, result.found]
    compared = [
        verdict(result),
        _best_of(results, "funasr", row.mode) if ours else "",
        _best_of(results, "sherpa", row.mode) if ours else "",
    ]
    price = cost(result.best, core_count, core_price) if result.best is not None else None
    return [
        *named,
        *compared,
        f"{_number(point.lag_p50_ms)}/{_number(point.lag_p95_ms)}" if point else "–",
        _number(point.tail_p95_ms if point else None),
        _number(alone.lag_p50_ms if alone else None),
        f"{point.server_cores:.2f}" if point else "–",
        f"{point.resident_mb:.0f}" if point else "–",
        " ".join(f"{stage} {rows:g}" for stage, rows in point.batch.items()) if point else "–",
        _number(result.ready_seconds, 1),
        _number(price.streams_per_core if price else None, 2),
        _number(price.yuan_per_stream_hour if price else None, 3),
    ]


def verdict(result: RowResult) -> str:
    """A row against its target, in words."""
    row = result.row
    if row.target is None:
        return ""
    wanted = f"≥ {row.target}" + (f", reach {row.reach}" if row.reach else "")
    if result.best is None:
        return f"{wanted}: not measured"
    if result.best >= row.target:
        return f"{wanted}: met"
    return f"{wanted}: {'missed' if result.bounded else 'not tried'}"


def _best_of(results: Sequence[RowResult], kind: str, mode: str) -> str:
    return "/".join(r.found for r in results if (r.row.kind, r.row.mode) == (kind, mode)) or "–"


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
