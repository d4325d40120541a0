"""The `asrpool` command as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from asrpool.main import EXIT_PIPE

ROOT = Path(__file__).parents[2]


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As in `asrpool plan … | head -1`: the pipe is closed before anything is printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "asrpool.main", "plan", "-f", "examples/asrpool.yaml",
         "--snapshot", "examples/snapshots/burst-from-zero.json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PYTHONPATH": "operator:cli:worker"}, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    complaints = process.stderr.read()
    assert (process.wait(timeout=30), complaints) == (EXIT_PIPE, "")
