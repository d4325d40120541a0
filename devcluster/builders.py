"""Two ways to build an image from its Dockerfile: Docker where its daemon answers, else buildah as root.

Buildah needs no daemon and no registry: base images come from `base_images`, and what it builds goes into an OCI layout in
the cache, layer by layer and uncompressed, so that an edit of a source file writes only the small layer it changed.
"""

from __future__ import annotations

import configparser
import fcntl
import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from devcluster import images
from devcluster.base_images import BASES, base_key, ensure_rootfs
from devcluster.errors import BuildError
from devcluster.host import require_root
from devcluster.images import IMAGES, PROJECT, Image
from devcluster.oci import Layout
from devcluster.packages import IMAGE_PACKAGES, ensure_packages
from devcluster.settings import cache_folder

Report = Callable[[str], None]
# Of each repository, so that a cluster may still run what was built a few edits ago.
_KEPT_IMAGES = 6


class Builder(Protocol):
    """Builds one image under a given name, on a given base."""

    def base(self, public_name: str, report: Report) -> str:
        """The name under which this builder can use a public base image."""

    def has(self, reference: str) -> bool:
        """Whether an image of this name is already built."""

    def build(self, image: Image, reference: str, base: str, root: Path) -> None:
        """Build it with the folder `root` as context. Raises BuildError with the end of the build's output."""


def docker_answers() -> bool:
    """Whether a Docker daemon is there."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(("docker", "info"), capture_output=True, check=False, timeout=20).returncode == 0


def choose_builder(report: Report) -> Builder:
    """Docker where it answers, else buildah."""
    return DockerBuilder() if docker_answers() else BuildahBuilder(report)


def build_images(
    names: Iterable[str],
    builder: Builder,
    report: Report,
    *,
    table: Mapping[str, Image] = IMAGES,
    root: Path = PROJECT,
) -> dict[str, str]:
    """Build what is not built yet; the reference of each image named, and of the bases among our own."""
    references: dict[str, str] = {}
    keys: dict[str, str] = {}
    with _locked():
        for name in images.select(names, table):
            image = table[name]
            public = "" if image.base else images.default_base(images.dockerfile_text(image, root))
            keys[name] = images.content_key(image, keys[image.base] if image.base else base_key(public), root)
            references[name] = images.reference(image, keys[name])
            if builder.has(references[name]):
                continue
            base = references[image.base] if image.base else builder.base(public, report)
            began = time.monotonic()
            report(f"building image {references[name]}")
            builder.build(image, references[name], base, root)
            report(f"built image {references[name]} in {time.monotonic() - began:.1f} s")
    return references


class DockerBuilder:
    """`docker build`, with Docker's own layer cache and the public base images."""

    def base(self, public_name: str, report: Report) -> str:  # noqa: ARG002 (nothing to report: Docker pulls it)
        """Docker pulls it by its public name."""
        return public_name

    def has(self, reference: str) -> bool:
        """Ask the daemon."""
        inspect = ("docker", "image", "inspect", reference)
        return subprocess.run(inspect, capture_output=True, check=False).returncode == 0

    def build(self, image: Image, reference: str, base: str, root: Path) -> None:
        """Build with Docker's own cache."""
        target = ("--target", image.target) if image.target else ()
        arguments = ("--build-arg", f"BASE={base}", "--tag", reference, "--file", str(root / image.dockerfile))
        _run(("docker", "build", *arguments, *target, str(root)), reference)


class BuildahBuilder:
    """Buildah with its storage in the cache and chroot isolation: it needs neither a daemon nor user namespaces."""

    def __init__(self, report: Report) -> None:
        require_root()
        ensure_packages(IMAGE_PACKAGES, report)
        self._folder = cache_folder() / "images"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.layout = Layout(self._folder / "layout")

    def base(self, public_name: str, report: Report) -> str:
        """A root file system of the same distribution and Python, made into an image once."""
        reference = f"localhost/asrpool-base:{base_key(public_name)}"
        if self._buildah("inspect", "--type", "image", reference, check=False).returncode != 0:
            rootfs = ensure_rootfs(public_name, report)
            container = self._buildah("from", "scratch").stdout.strip()
            try:
                self._buildah("add", "--quiet", container, str(rootfs), "/")
                environment = [word for name in BASES[public_name].environment for word in ("--env", name)]
                self._buildah("config", "--cmd", "/bin/sh", *environment, container)
                self._buildah("commit", "--quiet", container, reference)
            finally:
                self._buildah("rm", container)
        return reference

    def has(self, reference: str) -> bool:
        """Look into the OCI layout."""
        return self.layout.has(reference)

    def build(self, image: Image, reference: str, base: str, root: Path) -> None:
        """Build with cached layers, then write the layers that are new into the OCI layout."""
        if not base.startswith("localhost/"):
            base = f"localhost/{base}"
        volumes = [
            "--volume",
            "/etc/ssl/certs:/etc/ssl/certs:ro",
            "--volume",
            f"{self._pip_configuration()}:/etc/pip.conf:ro",
        ]
        target = ["--target", image.target] if image.target else []
        local = f"localhost/{reference}"
        self._buildah(
            "bud", "--layers", "--isolation", "chroot", "--network", "host", "--pull-never", "--format", "oci", *volumes, *target,
            "--build-arg", f"BASE={base}", "--tag", local, "--file", str(root / image.dockerfile), str(root),
            name=reference,
        )  # fmt: skip
        # By way of a directory: buildah writes an OCI layout only compressed.
        with tempfile.TemporaryDirectory(dir=self._folder) as directory:
            self._buildah("push", "--quiet", "--disable-compression", local, f"dir:{directory}")
            self.layout.adopt(Path(directory), reference)
        for old in self.layout.forget_old(image.repository, _KEPT_IMAGES):
            # Another image may still be built on it: then it stays.
            self._buildah("rmi", f"localhost/{old}", check=False)

    def push(self, reference: str, to: str) -> None:
        """Push a built image to a registry."""
        self._buildah("push", "--quiet", f"localhost/{reference}", f"docker://{to}", name=to)

    def _pip_configuration(self) -> Path:
        """The machine's pip settings as one file, so that pip inside a build reaches what pip outside reaches."""
        path = self._folder / "pip.conf"
        done = subprocess.run((*_host_pip(), "config", "list"), text=True, capture_output=True, check=False)
        path.write_text(pip_configuration(done.stdout))
        return path

    def _buildah(self, *arguments: str, check: bool = True, name: str = "") -> subprocess.CompletedProcess[str]:
        storage = (f"--root={self._folder / 'storage'}", f"--runroot={self._folder / 'run'}")
        command = ("buildah", *storage, *arguments)
        if check:
            return _run(command, name or arguments[0])
        return subprocess.run(command, text=True, capture_output=True, check=False)


def pip_configuration(listing: str) -> str:
    """The text of a pip.conf for what `pip config list` printed; places on this machine that a build cannot see are left out."""
    parsed = configparser.RawConfigParser()
    parsed.add_section("global")
    # Least to most specific, as pip itself ranks them.
    ranks = ("global", "site", "install", ":env:")
    found = [re.fullmatch(r"(\S+?)\.([\w-]+)='(.*)'", line.strip()) for line in listing.splitlines()]
    for rank in ranks:
        for match in found:
            if match is not None and match[1] == rank and not _is_unseen_path(match[3]):
                parsed.set("global", match[2], match[3])
    text = io.StringIO()
    parsed.write(text)
    return text.getvalue()


def _is_unseen_path(value: str) -> bool:
    return value.startswith("/") and not value.startswith("/etc/ssl/certs/")


def _host_pip() -> Sequence[str]:
    for candidate in ((sys.executable, "-m", "pip"), ("python3", "-m", "pip"), ("pip",)):
        try:
            if subprocess.run((*candidate, "--version"), capture_output=True, check=False).returncode == 0:
                return candidate
        except FileNotFoundError:
            continue
    return ("true",)


def _run(command: Sequence[str], what: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(("nice", *command), text=True, capture_output=True, check=False)
    if done.returncode != 0:
        end = (done.stdout[-1500:] + done.stderr[-2500:]).strip()
        raise BuildError(f"Building {what} failed:\n{end}\n", "Mend what the lines above name.")
    return done


@contextmanager
def _locked() -> Iterator[None]:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "images.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
