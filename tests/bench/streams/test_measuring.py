"""A row's search over servers that come and go: small servers in place of a model, real processes and real time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.streams.measuring import Bench, search_row
from bench.streams.report import RowResult
from bench.streams.rows import Row
from bench.streams.server import ServerSpec
from bench.streams.trial import Timing

ROW = Row("asrpool", "online", "onnx", "float32")
TIMING = Timing(
    seconds=1.5, limit_seconds=0.5, patience_seconds=1, join_seconds=0.1, settle_seconds=0.1, start_seconds=2
)

ECHO = """
import sys, threading, os
from concurrent.futures import ThreadPoolExecutor
from bench.streams import baseline_socket

live = 0

class Session:
    def __init__(self):
        global live
        live += 1
        if live > 1 and "dies" in sys.argv:
            os._exit(9)
        self.frames = 0
    def configure(self, message):
        pass
    def audio(self, data):
        self.frames += 1
        return [{"text": "x", "is_final": False}] if self.frames % 10 == 0 else []
    def end(self):
        return []

baseline_socket.run(Session, ThreadPoolExecutor(1), int(sys.argv[1]))
"""


def bench(tmp_path: Path, kept: list[RowResult], counts: tuple[int, ...]) -> Bench:
    def keep(results: Sequence[RowResult]) -> None:
        kept.append(results[-1])

    return Bench(
        size="small",
        timing=TIMING,
        threads=1,
        max_batch=1,
        max_streams=2,
        counts=counts,
        funasr_workers=1,
        extra_flags=(),
        logs=tmp_path,
        cache=tmp_path,
        tell=lambda _line: None,
        keep=keep,
    )


def server(tmp_path: Path, *words: str) -> ServerSpec:
    script = tmp_path / "server.py"
    script.write_text(ECHO, encoding="utf-8")
    return ServerSpec("echo", (sys.executable, str(script), "{port}", *words))


@pytest.mark.server
def test_every_try_is_kept_as_soon_as_it_is_done(tmp_path: Path) -> None:
    kept: list[RowResult] = []
    found = search_row(bench(tmp_path, kept, (1, 2)), ROW, server(tmp_path), kept.append)
    assert [point.streams for point in found.points] == [1, 2]
    assert found.best == 2, found.points
    assert [len(each.points) for each in kept] == [1, 2]


@pytest.mark.server
def test_a_server_that_ends_under_load_fails_that_number_and_is_started_anew(tmp_path: Path) -> None:
    kept: list[RowResult] = []
    found = search_row(bench(tmp_path, kept, (2, 1)), ROW, server(tmp_path, "dies"), kept.append)
    assert [point.streams for point in found.points] == [2, 1]
    assert not found.points[0].passed
    assert not found.error


@pytest.mark.server
def test_a_server_that_does_not_start_is_the_rows_error(tmp_path: Path) -> None:
    broken = ServerSpec("broken", ("/bin/false",))
    found = search_row(bench(tmp_path, [], (1,)), ROW, broken, lambda _found: None)
    assert "exit status 1" in found.error
    assert found.best is None
