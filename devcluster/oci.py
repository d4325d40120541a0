"""An OCI image layout on disk, and the part of it that a node still lacks as a stream to import.

Format: the OCI image layout specification (`oci-layout`, `index.json`, `blobs/sha256/…`). Layers are kept uncompressed: on
one machine, packing and unpacking them would cost more than the disk they save.
A stream for import may leave out blobs: containerd takes those it already holds from its own store.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

from devcluster.errors import BuildError

_NAME = "org.opencontainers.image.ref.name"
_DIGEST_FILE = re.compile(r"[0-9a-f]{64}")


class Layout:
    """The layout folder. Its index names images by full reference, the latest last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = folder / "index.json"
        self._blobs = folder / "blobs" / "sha256"

    def has(self, reference: str) -> bool:
        """Whether an image was written whole under this name."""
        return self._descriptor(reference) is not None

    def digests(self, reference: str) -> list[str]:
        """The blobs of an image: manifest, configuration, layers."""
        descriptor = self._descriptor(reference)
        if descriptor is None:
            raise BuildError(f"Image {reference} is not in {self.folder}", "Run `python -m devcluster images`.")
        return [str(descriptor["digest"]), *_parts(self._blob(descriptor["digest"]).read_bytes())]

    def adopt(self, directory: Path, reference: str) -> None:
        """Take over an image from a directory as `buildah push … dir:` writes it: blobs by digest, and manifest.json."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        manifest = (directory / "manifest.json").read_bytes()
        digest = hashlib.sha256(manifest).hexdigest()
        for path in directory.iterdir():
            if _DIGEST_FILE.fullmatch(path.name):
                path.replace(self._blobs / path.name)
        (self._blobs / digest).write_bytes(manifest)
        descriptor = {
            "mediaType": json.loads(manifest)["mediaType"],
            "digest": f"sha256:{digest}",
            "size": len(manifest),
            "annotations": {_NAME: reference},
        }
        # Named last: an image that has a name is whole.
        self._write_index([d for d in self._descriptors() if _name(d) != reference] + [descriptor])

    def forget_old(self, repository: str, keep: int) -> list[str]:
        """Drop all but the latest images of a repository, and every blob that no image uses; the names dropped."""
        descriptors = self._descriptors()
        own = [d for d in descriptors if _name(d).rpartition(":")[0] == repository]
        dropped = own[:-keep]
        if dropped:
            self._write_index([d for d in descriptors if d not in dropped])
            used = {digest for d in self._descriptors() for digest in self.digests(_name(d))}
            for path in self._blobs.iterdir():
                if f"sha256:{path.name}" not in used:
                    path.unlink()
        return [_name(d) for d in dropped]

    def write_stream(self, reference: str, held: Collection[str], stream: IO[bytes]) -> None:
        """Write the image as a tar of an OCI layout, without the blobs in `held`."""
        digests = self.digests(reference)
        descriptor = dict(self._descriptor(reference) or {})
        descriptor["annotations"] = {
            "io.containerd.image.name": f"docker.io/{reference}",
            _NAME: reference.rpartition(":")[2],
        }
        index = {"schemaVersion": 2, "manifests": [descriptor]}
        with tarfile.open(fileobj=stream, mode="w|") as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
            _add(tar, "index.json", json.dumps(index).encode())
            # The manifest goes along always: an import without it would have nothing to start from.
            for digest in dict.fromkeys(digests):
                if digest not in held or digest == digests[0]:
                    path = self._blob(digest)
                    tar.add(path, arcname=f"blobs/sha256/{path.name}")

    def _blob(self, digest: str) -> Path:
        return self._blobs / digest.removeprefix("sha256:")

    def _descriptors(self) -> list[dict[str, Any]]:
        return list(json.loads(self._index.read_text())["manifests"]) if self._index.exists() else []

    def _descriptor(self, reference: str) -> dict[str, Any] | None:
        return next((d for d in self._descriptors() if _name(d) == reference), None)

    def _write_index(self, descriptors: list[dict[str, Any]]) -> None:
        partial = self._index.with_suffix(".partial")
        partial.write_text(json.dumps({"schemaVersion": 2, "manifests": descriptors}, indent=1) + "\n")
        partial.replace(self._index)


def _name(descriptor: dict[str, Any]) -> str:
    return str(descriptor["annotations"][_NAME])


def _parts(manifest: bytes) -> list[str]:
    document = json.loads(manifest)
    return [str(part["digest"]) for part in (document["config"], *document["layers"])]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
