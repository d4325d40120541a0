"""The bench as it runs, on the tiny models: a worker of its own, two streams, one window."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from bench.streams.model_dirs import PROJECT, ModelDirs
from bench.streams.rows import Row, Setup, server_of
from bench.streams.server import ServerError, ServerSpec, running
from bench.streams.trial import Timing, measure

MODELS = PROJECT / "models"
TIMING = Timing(seconds=4.0, limit_seconds=5.0, join_seconds=0.3, settle_seconds=0.3, start_seconds=2.0)


@pytest.mark.server
@pytest.mark.model
def test_two_streams_through_a_worker_of_its_own(tmp_path: Path) -> None:
    """Every figure is there; the time it takes is that of a busy machine and decides nothing."""
    dirs = ModelDirs(
        MODELS / "paraformer-tiny-streaming", MODELS / "paraformer-tiny", MODELS / "fsmn-vad-tiny", MODELS / "none"
    )
    setup = Setup(dirs, None, threads=1, max_batch=8, punc=False)
    row = Row("asrpool", "2pass", "onnx", "float32")
    others = set(psutil.Process().children(recursive=True))
    with running(server_of(row, setup), tmp_path) as server:
        found = measure(server, row.mode, 2, TIMING, row.extra_ms)
        children = set(psutil.Process().children(recursive=True)) - others
    assert not found.errors
    assert found.unanswered == 0
    assert found.lags > 0
    assert found.tails >= 1
    assert found.batch["online"] >= 1
    assert found.resident_mb > 10
    assert children
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    spec = ServerSpec("broken", ("/bin/sh", "-c", "echo no model here >&2; exit 3"))
    with pytest.raises(ServerError, match=r"exit status 3(.|\n)*no model here"), running(spec, tmp_path):
        pass


def test_a_server_that_never_becomes_ready_is_ended(tmp_path: Path) -> None:
    spec = ServerSpec("slow", ("/bin/sh", "-c", "exec sleep 60"))
    with pytest.raises(ServerError, match="not ready after"), running(spec, tmp_path, ready_seconds=0.3):
        pass
    assert not [child for child in psutil.Process().children() if "sleep" in child.name()]
