"""Which process is meant by a process id written down earlier.

A process id alone is reused, at the latest after a restart of the machine; together with the boot's id and the
process's start time it names one process for ever. Nothing here signals a process whose three do not match.
"""

from __future__ import annotations

import json
import os
import select
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of one boot. `start_ticks` is field 22 of `/proc/PID/stat`."""

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int, proc: Path = Path("/proc")) -> Self | None:
        """The identity of the process that has this id now; None where there is none or it is a zombie."""
        try:
            stat = (proc / str(pid) / "stat").read_text()
            boot_id = (proc / "sys/kernel/random/boot_id").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The name in parentheses may itself hold spaces and parentheses: fields are counted after the last one.
        fields = stat[stat.rindex(")") + 2 :].split()
        return None if fields[0] in "ZX" else cls(pid=pid, start_ticks=int(fields[19]), boot_id=boot_id)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The identity written to a file, or None where the file is missing or was cut short."""
        try:
            document = json.loads(path.read_text())
            return cls(**document)
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write it whole or not at all."""
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(asdict(self)) + "\n")
        partial.replace(path)

    def alive(self, proc: Path = Path("/proc")) -> bool:
        """Whether this very process still runs."""
        return ProcessIdentity.of(self.pid, proc) == self

    def kill(self, timeout_seconds: float = 20.0) -> bool:
        """End this very process and wait for it to be gone; False where it still is there after the timeout.

        The process is pinned by a pidfd before its identity is checked, so that no other can take its place between.
        """
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():
                return True
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            ready, _, _ = select.select([handle], [], [], timeout_seconds)
            return bool(ready)
        finally:
            os.close(handle)
