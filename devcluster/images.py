"""The project's images: which there are, what each is made of, and the name that follows from its content.

An image's tag is a hash over its Dockerfile, its base and every file that the Dockerfile copies. An image that is
already built is recognised by its name alone, a changed file gives a new name, and a pod template that names it
says exactly what it runs. The same Dockerfiles build with Docker and without it (see `builders`).
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import BuildError, UsageError

PROJECT = Path(__file__).resolve().parent.parent
_SKIPPED_PARTS = {"__pycache__", ".git", ".venv", "out"}


@dataclass(frozen=True)
class Image:
    """One image of the project. `base` is the key of another image here, or empty: the Dockerfile's own `ARG BASE`."""

    repository: str
    dockerfile: str
    target: str = ""
    base: str = ""


IMAGES = {
    "operator": Image("asrpool/operator", "Dockerfile.operator"),
    "gateway": Image("asrpool/gateway", "Dockerfile.gateway"),
    "worker": Image("asrpool/worker", "Dockerfile.worker", target="cpu"),
    "worker-gpu": Image("asrpool/worker-gpu", "Dockerfile.worker", target="gpu"),
    "tiny": Image("asrpool/worker-tiny", "examples/Dockerfile.tiny", base="worker"),
}
# What the demo and the tests run. The GPU image holds 6 GB of PyTorch and is built only when named.
DEMO_IMAGES = ("operator", "gateway", "worker", "tiny")


def select(names: Iterable[str], images: Mapping[str, Image] = IMAGES) -> list[str]:
    """The images to build for these names, each after its base, without repetition."""
    ordered: list[str] = []
    for name in names:
        if name not in images:
            raise UsageError(f"There is no image '{name}'", f"Name some of {', '.join(images)}.")
        base = images[name].base
        for needed in ([base] if base else []) + [name]:
            if needed not in ordered:
                ordered.append(needed)
    return ordered


def dockerfile_text(image: Image, root: Path = PROJECT) -> str:
    """The image's Dockerfile."""
    try:
        return (root / image.dockerfile).read_text()
    except FileNotFoundError as error:
        raise BuildError(f"{image.dockerfile} is not there", "Restore it from version control.") from error


def copied_paths(dockerfile_text: str) -> list[str]:
    """The paths of the build context that a Dockerfile copies, in order. Copies from other stages are not counted."""
    joined = re.sub(r"\\\s*\n", " ", dockerfile_text)
    paths: list[str] = []
    for line in joined.splitlines():
        words = line.split(maxsplit=1)
        if len(words) != 2 or words[0].upper() not in ("COPY", "ADD"):
            continue
        arguments = shlex.split(words[1])
        options = [word for word in arguments if word.startswith("--")]
        if any(option.startswith("--from=") for option in options):
            continue
        paths += [word for word in arguments[len(options) : -1] if word not in paths]
    return paths


def default_base(dockerfile_text: str) -> str:
    """The public image named by the Dockerfile's `ARG BASE=…`."""
    found = re.search(r"^ARG BASE=(\S+)", dockerfile_text, re.MULTILINE)
    if found is None:
        raise BuildError("A Dockerfile has no `ARG BASE=…` before its first FROM", "Add one: builds replace it.")
    return found[1]


def context_files(paths: Iterable[str], root: Path = PROJECT) -> list[Path]:
    """Every file below the copied paths, sorted; caches and hidden build leftovers are not part of an image."""
    files: set[Path] = set()
    for pattern in paths:
        matches = [root] if pattern in (".", "./") else list(root.glob(pattern.strip("/")))
        if not matches:
            raise BuildError(f"A Dockerfile copies '{pattern}', which is not there", "Restore it, or mend the COPY.")
        for match in matches:
            inside = match.rglob("*") if match.is_dir() else [match]
            files.update(
                path for path in inside if path.is_file() and not _SKIPPED_PARTS & set(path.relative_to(root).parts)
            )
    return sorted(files)


def content_key(image: Image, base_key: str, root: Path = PROJECT) -> str:
    """The hash that names this image's content. `base_key` stands for all that the base brings."""
    text = dockerfile_text(image, root)
    digest = hashlib.sha256(f"{base_key}\0{image.target}\0{text}".encode())
    for path in context_files(copied_paths(text), root):
        digest.update(f"{path.relative_to(root)}\0{path.stat().st_mode & 0o111:o}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def reference(image: Image, key: str) -> str:
    """The image's name as pods give it."""
    return f"{image.repository}:dev-{key}"
