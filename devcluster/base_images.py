"""Root file systems that stand in for the public base images, where no registry for images can be reached.

Each is Debian's own bootstrap of the release that the public image is built on, with what its Dockerfile users rely on:
for the Python image `python`, `python3`, `pip` and `venv`, and a pip that installs beside Debian's packages.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import BuildError
from devcluster.settings import cache_folder


@dataclass(frozen=True)
class Base:
    """How to bootstrap one base. `hooks` run on this machine with the new root as `$1`."""

    suite: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


BASES = {
    "debian:bookworm-slim": Base("bookworm", ("ca-certificates",)),
    "python:3.11-slim": Base(
        "bookworm",
        ("ca-certificates", "python3", "python3-venv", "python3-pip"),
        hooks=(
            'ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
            'ln -s /usr/bin/python3 "$1/usr/local/bin/python3"',
            'rm "$1/usr/lib/python3.11/EXTERNALLY-MANAGED"',
        ),
        environment=("LANG=C.UTF-8",),
    ),
}
_WITHOUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def base_key(public_name: str) -> str:
    """Names the recipe for a base."""
    recipe = (_base(public_name), _WITHOUT)
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]


def ensure_rootfs(public_name: str, report: Callable[[str], None]) -> Path:
    """The base's root file system as a tar file in the cache; bootstrapping it takes about a minute, once."""
    base = _base(public_name)
    path = cache_folder() / "rootfs" / f"{base_key(public_name)}.tar"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.tar")
    began = time.monotonic()
    report(f"bootstrapping {base.suite} in place of {public_name}")
    command = [
        "nice", "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(base.packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _WITHOUT),
        *(f"--customize-hook={hook}" for hook in base.hooks),
        base.suite, str(partial),
    ]  # fmt: skip
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise BuildError(
            f"Bootstrapping {base.suite} failed: {done.stderr.strip()[-1500:]}", "A Debian mirror must be reachable."
        )
    partial.replace(path)
    report(f"bootstrapped {base.suite} in {time.monotonic() - began:.0f} s")
    return path


def _base(public_name: str) -> Base:
    if public_name not in BASES:
        raise BuildError(
            f"No recipe stands in for the base image {public_name}",
            f"Use one of {', '.join(BASES)}, add a recipe, or build with Docker.",
        )
    return BASES[public_name]
