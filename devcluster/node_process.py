"""The node seen from the host: start it, enter it, give it orders, end it.

The node is one process (see `node`) in namespaces of its own. It is known by `ProcessIdentity`, never by its id alone.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.errors import ComponentError
from devcluster.identity import ProcessIdentity
from devcluster.node import PRIVATE_FOLDERS
from devcluster.settings import Settings

_SOURCE_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class UnitState:
    """One component as the node reports it. `pid` is its process id inside the node."""

    name: str
    wanted: bool
    pid: int | None
    running_seconds: float | None
    restarts: int
    last_exit: str


class NodeProcess:
    """The running node of one cluster."""

    def __init__(self, settings: Settings, identity: ProcessIdentity) -> None:
        self._settings = settings
        self.identity = identity

    @classmethod
    def find(cls, settings: Settings) -> NodeProcess | None:
        """The node if it runs, else None."""
        identity = ProcessIdentity.read(settings.node_identity)
        return cls(settings, identity) if identity is not None and identity.alive() else None

    @classmethod
    def start(cls, settings: Settings, timeout_seconds: float = 15.0) -> NodeProcess:
        """Start the node and wait until it takes orders."""
        settings.node_identity.unlink(missing_ok=True)
        make_private_folders(settings)
        command = [
            "unshare", "--fork", "--kill-child", "--pid", "--mount", "--net", "--uts", "--ipc", "--propagation", "slave",
            sys.executable, "-m", "devcluster.node",
            "--state", str(settings.state), "--host-name", settings.node_name,
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(_SOURCE_ROOT)}
        log_path = settings.logs / "node.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_seconds
        handle = os.pidfd_open(process.pid)
        try:
            while time.monotonic() < deadline:
                node = cls.find(settings)
                if node is not None:
                    return node
                ended, _, _ = select.select([handle], [], [], 0.02)
                if ended:
                    break
        finally:
            os.close(handle)
        process.kill()
        process.wait()
        raise ComponentError("The node's namespaces did not come up", f"See {log_path}.")

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside the node, for a caller outside of it."""
        return ["nsenter", f"--target={self.identity.pid}", "--mount", "--net", "--uts", "--ipc", "--pid", "--", *argv]

    def run(
        self, argv: Sequence[str], *, check: bool = True, input_text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a short command inside the node and return what it printed."""
        done = subprocess.run(self.command(argv), input=input_text, text=True, capture_output=True, check=False)
        if check and done.returncode != 0:
            raise ComponentError(
                f"`{' '.join(argv)}` failed inside the node: {done.stderr.strip() or done.stdout.strip()}",
                f"See the logs in {self._settings.logs}.",
            )
        return done

    def order(self, op: str, **arguments: object) -> dict[str, Any]:
        """Give process 1 an order and return its answer."""
        # Through the folder's descriptor: a socket's own path may have at most 107 bytes.
        folder = os.open(self._settings.state, os.O_PATH | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(10.0)
                connection.connect(f"/proc/self/fd/{folder}/{self._settings.control_socket.name}")
                connection.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
                with connection.makefile("r") as stream:
                    answer: dict[str, Any] = json.loads(stream.readline() or "{}")
        except OSError as error:
            raise ComponentError(
                f"The node does not take orders ({error})", "Run `python -m devcluster down`, then `up`."
            ) from error
        finally:
            os.close(folder)
        if "error" in answer:
            raise ComponentError(f"The node refused '{op}': {answer['error']}", "Run `down`, then `up`.")
        return answer

    def units(self) -> list[UnitState]:
        """Every component the node knows."""
        return [UnitState(**unit) for unit in self.order("list")["units"]]


def make_private_folders(settings: Settings) -> None:
    """Make the mount points the node needs, and note which ones this machine did not have."""
    record = settings.state / "made-folders.json"
    made: list[str] = json.loads(record.read_text()) if record.exists() else []
    for folder in PRIVATE_FOLDERS:
        if not Path(folder).exists():
            made.append(folder)
            record.write_text(json.dumps(made))
            Path(folder).mkdir(parents=True, exist_ok=True)


def remove_private_folders(settings: Settings) -> None:
    """Take away those mount points that `make_private_folders` made, unless something has been put in them."""
    record = settings.state / "made-folders.json"
    if not record.exists():
        return
    for folder in json.loads(record.read_text()):
        path = Path(folder)
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    record.unlink()
