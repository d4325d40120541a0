"""What a cluster can leave behind on a machine, as sets that can be compared before and after."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devcluster.host import CGROUP_MOUNT
from devcluster.settings import Settings, cache_folder


def _lines(*command: str) -> frozenset[str]:
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    return frozenset(done.stdout.splitlines())


@dataclass(frozen=True)
class Traces:
    """Everything of the machine that a cluster may touch. Processes are those that belong to this cluster."""

    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    routes: frozenset[str]
    rules: frozenset[str]
    namespaces: frozenset[str]
    cgroups: frozenset[str]
    folders: frozenset[str]
    sysctls: frozenset[str]


def processes_of(settings: Settings) -> frozenset[str]:
    """Processes that name the cluster's state folder or live in its cgroup."""
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cgroup = (folder / "cgroup").read_text()
        except OSError:
            continue  # It ended while we looked.
        if str(settings.state) in words or settings.cgroup in cgroup:
            found.add(f"{folder.name} {words}")
    return frozenset(found)


def traces(settings: Settings) -> Traces:
    """Look at the machine now."""
    links = json.loads(subprocess.check_output(("ip", "-json", "link", "show")))
    sysctls = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys")
    return Traces(
        processes=processes_of(settings),
        # Image builds mount and unmount their layers in the cache at any time.
        mounts=frozenset(
            line.split(" - ")[0].split(" ", 3)[3]
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if str(cache_folder()) not in line
        ),
        links=frozenset(link["ifname"] for link in links),
        addresses=_lines("ip", "-o", "-4", "address", "show"),
        routes=_lines("ip", "-4", "route", "show", "table", "all"),
        rules=frozenset(line for line in _lines("iptables-save") if not line.startswith("#")),
        namespaces=frozenset(path.name for path in Path("/run/netns").glob("*")),
        cgroups=frozenset(str(path) for path in CGROUP_MOUNT.glob(f"**/*{settings.cgroup}*")),
        folders=frozenset(
            str(path) for parent in ("/var/lib", "/run", "/etc/cni", "/var/tmp") for path in Path(parent).glob("*")
        ),
        sysctls=frozenset(f"{name}={Path('/proc/sys', name).read_text().strip()}" for name in sysctls),
    )
