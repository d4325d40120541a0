from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from devcluster import images, oci
from devcluster.archive import write_program_image
from devcluster.base_images import BASES, base_key
from devcluster.builders import build_images, pip_configuration
from devcluster.errors import BuildError, UsageError
from devcluster.images import Image

DOCKERFILE = """ARG BASE=python:3.11-slim
FROM ${BASE} AS deps
COPY pins.txt \\
     ./
FROM ${BASE}
COPY --from=deps /opt /opt
COPY --chown=1:1 app /app
ADD extra/*.json /app/
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "Dockerfile": DOCKERFILE,
        "pins.txt": "a==1\n",
        "app/main.py": "print()\n",
        "app/__pycache__/main.pyc": "bytes",
        "extra/a.json": "{}",
        "README.md": "not copied",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_context_is_what_the_dockerfile_copies(project: Path) -> None:
    assert images.copied_paths(DOCKERFILE) == ["pins.txt", "app", "extra/*.json"]
    files = images.context_files(images.copied_paths(DOCKERFILE), project)
    assert [str(path.relative_to(project)) for path in files] == ["app/main.py", "extra/a.json", "pins.txt"]


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("app/main.py", True),
        ("pins.txt", True),
        ("extra/a.json", True),
        ("extra/b.json", True),
        ("Dockerfile", True),
        ("README.md", False),
        ("app/__pycache__/main.pyc", False),
    ],
)
def test_the_name_changes_with_the_content_and_with_nothing_else(project: Path, path: str, *, changes: bool) -> None:
    image = Image("asrpool/x", "Dockerfile")
    before = images.content_key(image, "base", project)
    with (project / path).open("a") as file:
        file.write("\n# more")
    assert (images.content_key(image, "base", project) != before) is changes


def test_the_name_changes_with_the_base_and_the_target(project: Path) -> None:
    keys = {
        images.content_key(Image("asrpool/x", "Dockerfile", target), base, project)
        for target in ("", "gpu")
        for base in ("one", "two")
    }
    assert len(keys) == 4


def test_a_missing_file_and_a_missing_dockerfile_are_named(project: Path) -> None:
    (project / "pins.txt").unlink()
    with pytest.raises(BuildError, match=r"pins\.txt"):
        images.content_key(Image("asrpool/x", "Dockerfile"), "base", project)
    with pytest.raises(BuildError, match=r"Dockerfile\.none"):
        images.content_key(Image("asrpool/x", "Dockerfile.none"), "base", project)


def test_an_image_comes_after_its_base_and_once() -> None:
    assert images.select(["tiny", "worker", "operator"]) == ["worker", "tiny", "operator"]
    with pytest.raises(UsageError, match="nosuch"):
        images.select(["nosuch"])


def test_every_image_of_the_project_has_a_dockerfile_and_a_base_that_can_be_made() -> None:
    for image in images.IMAGES.values():
        text = images.dockerfile_text(image)
        if not image.base:
            assert images.default_base(text) in BASES
        images.content_key(image, "base")


class _Recorder:
    """A builder that notes what it is asked for."""

    def __init__(self) -> None:
        self.built: list[tuple[str, str]] = []

    def base(self, public_name: str, report: object) -> str:  # noqa: ARG002
        return f"made:{base_key(public_name)}"

    def has(self, reference: str) -> bool:
        return reference in [name for name, _ in self.built]

    def build(self, image: Image, reference: str, base: str, root: Path) -> None:  # noqa: ARG002
        self.built.append((reference, base))


def test_images_are_built_once_each_on_its_base(project: Path) -> None:
    (project / "Dockerfile.top").write_text("ARG BASE=x\nFROM ${BASE}\nCOPY extra /extra\n")
    table = {"low": Image("asrpool/low", "Dockerfile"), "top": Image("asrpool/top", "Dockerfile.top", base="low")}
    recorder = _Recorder()
    first = build_images(["top"], recorder, print, table=table, root=project)
    assert recorder.built == [
        (first["low"], f"made:{base_key('python:3.11-slim')}"),
        (first["top"], first["low"]),
    ]
    assert build_images(["top"], recorder, print, table=table, root=project) == first
    assert len(recorder.built) == 2
    (project / "app/main.py").write_text("changed")
    second = build_images(["top"], recorder, print, table=table, root=project)
    assert second["top"] != first["top"], "a changed base is a changed image"


def test_pip_inside_a_build_gets_the_settings_from_outside_that_it_can_use() -> None:
    listing = (
        ":env:.default-timeout='180'\nglobal.default-timeout='15'\nglobal.index-url='https://pypi.example/simple'\n"
        ":env:.find-links='/opt/wheels'\nglobal.cert='/etc/ssl/certs/ca-certificates.crt'\nnonsense\n"
    )
    assert pip_configuration(listing) == (
        "[global]\ndefault-timeout = 180\nindex-url = https://pypi.example/simple\n"
        "cert = /etc/ssl/certs/ca-certificates.crt\n\n"
    )


def _pushed(folder: Path, *layers: str) -> Path:
    """What `buildah push dir:` writes, with layers of the given content."""
    folder.mkdir()
    parts = []
    for content in (f"config of {layers}", *layers):
        digest = hashlib.sha256(content.encode()).hexdigest()
        (folder / digest).write_text(content)
        parts.append({"digest": f"sha256:{digest}"})
    manifest = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "config": parts[0], "layers": parts[1:]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    return folder


def _layout(folder: Path) -> oci.Layout:
    layout = oci.Layout(folder / "layout")
    layout.adopt(_pushed(folder / "pushed", "layer one", "layer two"), "asrpool/x:dev-1")
    return layout


def test_a_stream_leaves_out_what_the_node_holds_but_never_the_manifest(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    stream = io.BytesIO()
    manifest, config, first, second = layout.digests("asrpool/x:dev-1")
    layout.write_stream("asrpool/x:dev-1", {manifest, first}, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        names = tar.getnames()
        index_file = tar.extractfile("index.json")
        assert index_file is not None
        index = json.load(index_file)
    sent = [f"blobs/{digest.replace(':', '/')}" for digest in (manifest, config, second)]
    assert names == ["oci-layout", "index.json", *sent]
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == "docker.io/asrpool/x:dev-1"


def test_only_the_latest_images_of_a_repository_are_kept_and_no_blob_without_an_image(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    for number in (2, 3):
        pushed = _pushed(tmp_path / f"pushed{number}", "layer one", f"layer of {number}")
        layout.adopt(pushed, f"asrpool/x:dev-{number}")
    layout.adopt(_pushed(tmp_path / "other", "layer two"), "asrpool/y:dev-1")
    layout.adopt(_pushed(tmp_path / "again", "layer one", "layer two"), "asrpool/x:dev-1")
    assert layout.forget_old("asrpool/x", keep=2) == ["asrpool/x:dev-2"]
    assert not layout.has("asrpool/x:dev-2")
    blobs = {path.name for path in (tmp_path / "layout/blobs/sha256").iterdir()}
    used = {d for r in ("asrpool/x:dev-1", "asrpool/x:dev-3", "asrpool/y:dev-1") for d in layout.digests(r)}
    assert {f"sha256:{name}" for name in blobs} == used
    assert layout.forget_old("asrpool/x", keep=2) == []


def test_an_image_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    layout = _layout(tmp_path)
    assert layout.has("asrpool/x:dev-1")
    assert not layout.has("asrpool/x:dev-2")
    with pytest.raises(BuildError, match="dev-2"):
        layout.digests("asrpool/x:dev-2")


def test_a_program_image_is_the_same_each_time(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    for name in ("a.tar", "b.tar"):
        write_program_image(program, "asrpool/pause:1", tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        manifest_file = tar.extractfile("manifest.json")
        assert manifest_file is not None
        assert json.load(manifest_file)[0]["RepoTags"] == ["asrpool/pause:1"]
