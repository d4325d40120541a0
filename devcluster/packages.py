"""The Debian packages that the cluster, the image builds and the tests need, installed when they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from devcluster.errors import HostError

# Package → a file that shows it is installed.
CLUSTER_PACKAGES = {
    "containerd": "/usr/bin/containerd",
    "runc": "/usr/sbin/runc",
    "containernetworking-plugins": "/usr/lib/cni/ptp",
    "iptables": "/usr/sbin/iptables",
    "conntrack": "/usr/sbin/conntrack",
    "iproute2": "/usr/sbin/ip",
    "util-linux": "/usr/bin/nsenter",
    "mount": "/usr/bin/mount",
    "openssl": "/usr/bin/openssl",
    "ca-certificates": "/etc/ssl/certs/ca-certificates.crt",
}
IMAGE_PACKAGES = {
    "buildah": "/usr/bin/buildah",
    "netavark": "/usr/lib/podman/netavark",  # buildah only recommends it, and builds nothing without it
    "mmdebstrap": "/usr/bin/mmdebstrap",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
}

# The tests' own: the real HAProxy on loopback, and the voice that speaks the test sets.
TEST_PACKAGES = {
    "haproxy": "/usr/sbin/haproxy",
    "espeak-ng": "/usr/bin/espeak-ng",
}


def missing(packages: dict[str, str], root: Path = Path("/")) -> list[str]:
    """Those packages whose file is not there."""
    return [name for name, proof in packages.items() if not (root / proof.lstrip("/")).exists()]


def ensure_packages(packages: dict[str, str], report: Callable[[str], None]) -> None:
    """Install what is missing with apt-get."""
    absent = missing(packages)
    if not absent:
        return
    if shutil.which("apt-get") is None:
        raise HostError(
            f"This machine lacks {', '.join(absent)}, and it is neither Debian nor Ubuntu",
            "Install them by hand (the names are Debian's), or use kind with Docker, or a cluster of your own.",
        )
    report(f"installing {' '.join(absent)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *absent]
    # The lists are fetched only when the install fails without them: on most machines they are there.
    for command in (install, ["apt-get", "update", "-q"], install):
        done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
        if command is install and done.returncode == 0:
            break
    still = missing(packages)
    if still:
        raise HostError(f"Installing {', '.join(still)} failed: {done.stderr.strip()[-1500:]}", "Install them by hand.")
