"""What the devcluster changes on the machine outside its own namespaces, and how that is undone: cgroups and sysctls."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from devcluster.errors import HostError
from devcluster.settings import Settings

CGROUP_MOUNT = Path("/sys/fs/cgroup")
# The kernel settings that a kubelet writes for the whole machine when it starts.
_KUBELET_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def require_root() -> None:
    """The devcluster makes namespaces, links and cgroups."""
    if os.geteuid() != 0:
        raise HostError(
            "The devcluster needs root: it makes namespaces, network links and cgroups",
            "Run it with sudo, or name a cluster of yours with KUBECONFIG or --context.",
        )


def cgroup_roots(settings: Settings, mount: Path = CGROUP_MOUNT) -> list[Path]:
    """The folders that hold this cluster's pods: one for each v1 hierarchy, or the one of v2."""
    if (mount / "cgroup.controllers").exists():
        return [mount / settings.cgroup]
    hierarchies = sorted({path.resolve() for path in mount.iterdir() if path.is_dir()})
    return [h / settings.cgroup for h in hierarchies if (h / "cgroup.procs").exists()]


def make_cgroups(settings: Settings, mount: Path = CGROUP_MOUNT) -> None:
    """Make the cgroup that the kubelet is told to put its pods under."""
    for root in cgroup_roots(settings, mount):
        root.mkdir(exist_ok=True)
        if (root.parent / "cgroup.controllers").exists() and root.parent == mount:
            controllers = (root.parent / "cgroup.controllers").read_text().split()
            for control in (root.parent / "cgroup.subtree_control", root / "cgroup.subtree_control"):
                control.write_text(" ".join(f"+{name}" for name in controllers))
        for name in ("cpuset.cpus", "cpuset.mems"):
            # A v1 cpuset takes no process while these are empty.
            if (root / name).exists() and not (root / name).read_text().strip() and (root.parent / name).exists():
                (root / name).write_text((root.parent / name).read_text())


def remove_cgroups(settings: Settings, mount: Path = CGROUP_MOUNT, patience_seconds: float = 5.0) -> list[Path]:
    """Remove the cluster's cgroups, innermost first; the ones that could not be removed are returned."""
    deadline = time.monotonic() + patience_seconds
    while True:
        for root in cgroup_roots(settings, mount):
            for folder, _, _ in os.walk(root, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    continue  # Still busy: the kernel lets go of a dead process's cgroup a moment later.
        left = [root for root in cgroup_roots(settings, mount) if root.exists()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def save_sysctls(settings: Settings, proc_sys: Path = Path("/proc/sys")) -> None:
    """Remember what the kubelet is about to overwrite, unless an earlier `up` of this boot already did."""
    record = settings.state / "sysctls.json"
    boot_id = (proc_sys / "kernel/random/boot_id").read_text().strip()
    if record.exists() and json.loads(record.read_text())["boot_id"] == boot_id:
        return
    values = {name: (proc_sys / name).read_text().strip() for name in _KUBELET_SYSCTLS if (proc_sys / name).exists()}
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps({"boot_id": boot_id, "values": values}, indent=1) + "\n")
    partial.replace(record)


def restore_sysctls(settings: Settings, proc_sys: Path = Path("/proc/sys")) -> None:
    """Put back what `save_sysctls` remembered."""
    record = settings.state / "sysctls.json"
    if not record.exists():
        return
    saved = json.loads(record.read_text())
    same_boot = saved["boot_id"] == (proc_sys / "kernel/random/boot_id").read_text().strip()
    for name, value in saved["values"].items() if same_boot else ():
        if (proc_sys / name).read_text().strip() != value:
            (proc_sys / name).write_text(value)
    record.unlink()
