"""What is measured: our engines, FunASR's way and sherpa-onnx on the same weights, and the numbers to reach."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bench.streams.model_dirs import ModelDirs
from bench.streams.server import ServerSpec

Kind = Literal["asrpool", "funasr", "sherpa"]
CAPACITY = 1_000
SHERPA_EXTRA_MS = 35.0
"""sherpa-onnx waits for 62 filter-bank frames (635 ms) where the model's stride has 600 ms; see `measures`."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `target` and `reach`: streams to serve in time on two cores, where there is such a number."""

    kind: Kind
    mode: str
    engine: str
    dtype: str
    device: str = "cpu"
    target: int | None = None
    reach: int | None = None

    @property
    def name(self) -> str:
        """For people and for file names."""
        return " ".join((self.kind, self.mode, self.engine, self.dtype, self.device))

    @property
    def extra_ms(self) -> float:
        """Audio beyond a stride's own that the server waits for by its build."""
        return SHERPA_EXTRA_MS if self.kind == "sherpa" else 0.0


OURS = (
    Row("asrpool", "online", "onnx", "int8", target=16, reach=20),
    Row("asrpool", "online", "onnx", "float32", target=10, reach=12),
    Row("asrpool", "online", "torch", "float32", target=7, reach=9),
    Row("asrpool", "2pass", "onnx", "int8", target=6, reach=8),
)
BASELINES = (
    Row("funasr", "online", "torch", "float32"),
    Row("funasr", "2pass", "torch", "float32"),
    Row("sherpa", "online", "onnx", "float32"),
    Row("sherpa", "online", "onnx", "int8"),
)


def chosen(
    engine: str | None, mode: str | None, dtype: str | None, device: str, baselines: Iterable[str]
) -> tuple[Row, ...]:
    """The rows to measure: what is left open takes the table's rows; a combination the table lacks becomes a row without a target."""
    ours = [row for row in OURS if _fits(row, engine, mode, dtype)] if device == "cpu" else []
    if not ours:
        named = engine or ("torch" if device != "cpu" else "onnx")
        ours = [
            Row("asrpool", each, named, dtype or "float32", device)
            for each in ((mode,) if mode else ("online", "2pass"))
        ]
    wanted, modes = set(baselines), {row.mode for row in ours}
    if device != "cpu":
        wanted.discard("sherpa")  # its package on PyPI computes on CPUs
    theirs = [replace(row, device=device) for row in BASELINES if row.kind in wanted and row.mode in modes]
    return (*ours, *theirs)


def _fits(row: Row, engine: str | None, mode: str | None, dtype: str | None) -> bool:
    return (
        (engine is None or row.engine == engine)
        and (mode is None or row.mode == mode)
        and (dtype is None or row.dtype == dtype)
    )


@dataclass(frozen=True)
class Setup:
    """What the servers run on. `punc`: whether our worker serves punctuation (its directory could be exported)."""

    dirs: ModelDirs
    sherpa_model: Path | None
    threads: int
    max_batch: int
    punc: bool
    funasr_workers: int = 1
    extra_flags: Sequence[str] = ()


def server_of(row: Row, setup: Setup) -> ServerSpec:
    """The command of a row's server."""
    if row.kind == "asrpool":
        return _ours(row, setup)
    if row.kind == "funasr":
        return _funasr(row, setup)
    if setup.sherpa_model is None:
        raise ValueError("a sherpa row needs the model in sherpa's form")
    command = ["-m", "bench.streams.sherpa_server", "--model", str(setup.sherpa_model), "--dtype", row.dtype]
    return _spec(row, [*command, "--threads", str(setup.threads), "--port", "{port}"])


def _ours(row: Row, setup: Setup) -> ServerSpec:
    models = ["--online", str(setup.dirs.online)]
    if row.mode != "online":
        models += ["--offline", str(setup.dirs.offline), "--vad", str(setup.dirs.vad)]
        models += ["--punc", str(setup.dirs.punc)] if setup.punc else []
    ports = ["--host", "127.0.0.1", "--port", "{port}", "--admin-port", "{admin_port}", "--agent-port", "{agent_port}"]
    # All that a live stream of any length may need, so that only the engine's speed decides.
    limits = ["--capacity", str(CAPACITY), "--drain-seconds", "0"]
    batch = ["--threads", str(setup.threads), "--max-batch", str(setup.max_batch)]
    flags = ["serve", "--engine", row.engine, "--device", row.device, "--dtype", row.dtype, "--log-level", "warning"]
    return _spec(
        row, ["-m", "asrpool_worker.main", *flags, *models, *ports, *limits, *batch, *setup.extra_flags], metrics=True
    )


def _funasr(row: Row, setup: Setup) -> ServerSpec:
    models = ["--online", str(setup.dirs.online), "--vad", str(setup.dirs.vad)]
    if row.mode != "online":
        models += ["--offline", str(setup.dirs.offline), "--punc", str(setup.dirs.punc)]
    flags = ["--threads", str(setup.threads), "--workers", str(setup.funasr_workers), "--device", row.device]
    return _spec(row, ["-m", "bench.streams.funasr_server", *models, *flags, "--port", "{port}"])


def _spec(row: Row, arguments: Sequence[str], *, metrics: bool = False) -> ServerSpec:
    return ServerSpec(row.name, (sys.executable, *arguments), metrics)
