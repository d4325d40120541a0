"""Image archives written by hand: one static program in one layer, in the `docker-archive` form containerd imports."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path


def _member(name: str, content: bytes, mode: int = 0o644) -> tuple[tarfile.TarInfo, io.BytesIO]:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    return entry, io.BytesIO(content)


def write_program_image(program: Path, image: str, archive: Path, machine: str = "amd64") -> None:
    """Write an image that holds `program` as `/NAME`, its entry point, and nothing else. The same in, the same out."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.addfile(*_member(program.name, program.read_bytes(), 0o755))
    layer_bytes = layer.getvalue()
    config = json.dumps(
        {
            "architecture": machine,
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer_bytes).hexdigest()}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [image], "Layers": ["layer.tar"]}]).encode()
    partial = archive.with_name(archive.name + ".partial")
    with tarfile.open(partial, "w") as tar:
        for name, content in ((config_name, config), ("layer.tar", layer_bytes), ("manifest.json", manifest)):
            tar.addfile(*_member(name, content))
    partial.replace(archive)
