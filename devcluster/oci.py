"""An OCI image layout on disk, and the part of it that a node still lacks as a stream to import.

Format: the OCI image layout specification (`oci-layout`, `index.json`, `blobs/sha256/…`), here with uncompressed layers.
A stream for import may leave out blobs: containerd takes those it already holds from its own store.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

from devcluster.errors import BuildError

_NAME_ANNOTATION = "org.opencontainers.image.ref.name"


def tag_of(reference: str) -> str:
    """A reference as a tag: the layout's own tags may not hold a slash or a colon."""
    return re.sub(r"[^\w.-]", "-", reference)


class Layout:
    """The layout folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self) -> None:
        """Make an empty layout where there is none."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def has(self, reference: str) -> bool:
        """Whether an image was written whole under this name."""
        return self._descriptor(reference) is not None

    def digests(self, reference: str) -> list[str]:
        """The blobs of an image: manifest, configuration, layers."""
        descriptor = self._descriptor(reference)
        if descriptor is None:
            raise BuildError(f"Image {reference} is not in {self.folder}", "Run `python -m devcluster images`.")
        manifest = json.loads(self._blob(descriptor["digest"]).read_bytes())
        parts = [descriptor, manifest["config"], *manifest["layers"]]
        return [str(part["digest"]) for part in parts]

    def write_stream(self, reference: str, held: Collection[str], stream: IO[bytes]) -> int:
        """Write the image as a tar of an OCI layout without the blobs in `held`; the number of bytes of its blobs."""
        digests = self.digests(reference)
        descriptor = dict(self._descriptor(reference) or {})
        descriptor["annotations"] = {
            "io.containerd.image.name": f"docker.io/{reference}",
            _NAME_ANNOTATION: reference.rpartition(":")[2],
        }
        index = {"schemaVersion": 2, "manifests": [descriptor]}
        written = 0
        with tarfile.open(fileobj=stream, mode="w|") as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
            _add(tar, "index.json", json.dumps(index).encode())
            # The manifest goes along always: an import without it would have nothing to start from.
            for digest in dict.fromkeys(digests):
                if digest in held and digest != digests[0]:
                    continue
                path = self._blob(digest)
                tar.add(path, arcname=f"blobs/sha256/{path.name}")
                written += path.stat().st_size
        return written

    def _blob(self, digest: str) -> Path:
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def _descriptor(self, reference: str) -> dict[str, Any] | None:
        index = self.folder / "index.json"
        if not index.exists():
            return None
        tag = tag_of(reference)
        for descriptor in json.loads(index.read_text())["manifests"]:
            if descriptor.get("annotations", {}).get(_NAME_ANNOTATION) == tag:
                return dict(descriptor)
        return None


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
