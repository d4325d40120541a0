"""Process 1 of the node: makes the node's private view of the file system, runs the components, reaps what they leave.

Started by `node_process` under `unshare` (new process, mount, network, host name and IPC namespaces). It takes orders
as one JSON line per connection on a socket in the state folder: `start`, `stop`, `list`. When it ends, for whatever
reason, the kernel ends every process of the node with it, and its mounts, links and firewall rules go with the
last of them. The rules of when to start and end a component are in `supervision`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from devcluster.identity import ProcessIdentity
from devcluster.supervision import Act, Unit

# Paths that components have compiled in, and the state folder's part that takes their place inside the node.
PRIVATE_FOLDERS = {"/var/lib/kubelet": "kubelet", "/var/lib/cni": "cni", "/var/log": "var-log"}


def _mount(*arguments: str) -> None:
    subprocess.run(("mount", *arguments), check=True)


def enter_private_view(state: Path) -> None:
    """Give the node its own `/run`, `/proc` and fixed paths, all shared onward to the mount namespaces of pods."""
    _mount("--make-rshared", "/")
    for target, part in PRIVATE_FOLDERS.items():
        source = state / part
        source.mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(source), target)
        # Out of the root's peer group, else each mount below would appear twice: here and in the state folder.
        _mount("--make-private", target)
        _mount("--make-shared", target)
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    for folder in ("/run/lock", "/run/netns", "/run/containerd"):
        Path(folder).mkdir()
    _mount("--make-shared", "/run")
    _mount("-t", "proc", "proc", "/proc")


class Node:
    """The event loop of process 1: children that end, orders on the socket, moments that come due."""

    def __init__(self, listener: socket.socket) -> None:
        self._units: dict[str, Unit] = {}
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._wakeup, wakeup_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Serve for ever: process 1 is ended from outside."""
        while True:
            self._reap()
            now = time.monotonic()
            for unit in self._units.values():
                self._act(unit, now)
            moments = [m for m in (u.next_moment() for u in self._units.values()) if m is not None]
            pause_seconds = max(0.0, min(moments) - now) if moments else None
            for key, _ in self._selector.select(pause_seconds):
                if key.fileobj is self._listener:
                    self._answer()
                else:
                    os.read(self._wakeup, 4096)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            how = f"exit {code}" if code >= 0 else signal.Signals(-code).name
            for unit in self._units.values():
                if unit.pid == pid:
                    unit.exited(how, time.monotonic())

    def _act(self, unit: Unit, now: float) -> None:
        match unit.due(now):
            case Act.SPAWN:
                unit.pid, unit.started_at = _spawn(unit), now
            case Act.TERMINATE:
                unit.term_due = False
                _signal(unit, signal.SIGTERM)
            case Act.KILL:
                unit.kill_at = now + 1.0
                _signal(unit, signal.SIGKILL)

    def _answer(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(5.0)
            try:
                with connection.makefile("rw") as stream:
                    line = stream.readline()
                    stream.write(json.dumps(self._obey(line)) + "\n")
            except OSError as error:
                print(f"a client of the control socket went away: {error}", flush=True)

    def _obey(self, line: str) -> dict[str, Any]:
        now = time.monotonic()
        try:
            order = json.loads(line)
            name = order.get("name", "")
            match order["op"]:
                case "start":
                    unit = self._units.setdefault(name, Unit(name))
                    changed = unit.start(
                        tuple(order["argv"]), order["environment"], order["log"], order["fingerprint"], now
                    )
                    return {"changed": changed}
                case "stop":
                    if name in self._units:
                        self._units[name].stop(order["grace_seconds"], now)
                    return {}
                case "list":
                    return {"units": [_report(u, now) for u in self._units.values()]}
                case other:
                    return {"error": f"unknown order {other!r}"}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"error": f"{type(error).__name__}: {error}"}


def _spawn(unit: Unit) -> int | None:
    with Path(unit.log).open("ab", buffering=0) as log:
        try:
            return os.posix_spawn(
                unit.argv[0],
                unit.argv,
                unit.environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
                ],
                setsid=True,
                setsigdef=[signal.SIGPIPE, signal.SIGCHLD],
            )
        except OSError as error:
            log.write(f"could not start: {error}\n".encode())
            unit.started_at = time.monotonic()
            unit.exited(f"could not start: {error}", unit.started_at)
            return None


def _signal(unit: Unit, number: signal.Signals) -> None:
    # Reaping happens in this same thread, so the id still belongs to the child, running or zombie.
    if unit.pid is not None:
        os.kill(unit.pid, number)


def _report(unit: Unit, now: float) -> dict[str, Any]:
    return {
        "name": unit.name,
        "wanted": unit.wanted,
        "pid": unit.pid,
        "running_seconds": round(now - unit.started_at, 1) if unit.pid is not None else None,
        "restarts": unit.restarts,
        "last_exit": unit.last_exit,
    }


def main() -> None:
    """Be process 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--host-name", required=True)
    arguments = parser.parse_args()
    state: Path = arguments.state
    if os.getpid() != 1:
        sys.exit("devcluster.node must be process 1 of its own process namespace: use `python -m devcluster up`")
    # /proc is still the host's here: the link gives the process id that the host knows this process by.
    identity = ProcessIdentity.of(int(Path("/proc/self").readlink().name))
    os.chdir(state)
    enter_private_view(state)
    socket.sethostname(arguments.host_name)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0o022)
    Path("node.sock").unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("node.sock")
    Path("node.sock").chmod(0o600)
    listener.listen()
    node = Node(listener)
    # Written last: whoever reads it finds a node that answers.
    if identity is None:
        sys.exit("this process has no entry in /proc")
    identity.write(Path("node.json"))
    node.run()


if __name__ == "__main__":
    main()
