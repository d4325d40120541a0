"""Which cluster the demo and the tests use, and the one face that all of them show.

A cluster that is named (`--context`, `ASRPOOL_KUBECONTEXT`, `KUBECONFIG`) is used as it is. Else kind, where kind and a
Docker daemon are there. Else the embedded cluster of this package. Callers see a `Cluster` and need not know which.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from devcluster.builders import docker_answers
from devcluster.settings import DEFAULT_STATE, Settings

Report = Callable[[str], None]


class Cluster(Protocol):
    """A Kubernetes that the demo and the tests can use."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def kubeconfig_path(self) -> Path:
        """The kubeconfig to use with it."""

    def up(self) -> None:
        """Make it answer, or say why it does not."""

    def down(self) -> bool:
        """Take it away if it is ours to take; False where it is not."""

    def env(self) -> dict[str, str]:
        """The environment of this process, with KUBECONFIG and a PATH on which kubectl and helm are found."""

    def kubectl(self, *arguments: str, input_text: str | None = None) -> str:
        """Run kubectl; what it printed, or ComponentError with what it complained of."""

    def helm(self, *arguments: str) -> str:
        """Run helm; what it printed, or ComponentError with what it complained of."""

    def images(self, names: Iterable[str]) -> dict[str, str]:
        """Build these images of the project where needed and make them known to the cluster: name → reference."""

    def load_image(self, image: str) -> str:
        """Make one image known: an archive's path, or a name of `images.IMAGES`; the reference that pods give."""

    def endpoint(self, namespace: str, service: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        """A host and port on which this machine reaches a service, for as long as the context is open."""

    def api(self) -> AbstractContextManager[str]:
        """A URL on this machine that answers as the API server, for as long as the context is open."""

    def stop_component(self, component: str) -> None:
        """Take a control-plane component down (`kube-apiserver`), or UsageError where that cannot be done."""

    def start_component(self, component: str) -> None:
        """Start it again."""


class Kind(Enum):
    """Which cluster to use."""

    EXISTING = "existing"
    KIND = "kind"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Choice:
    """The decision: what to use, and by which kubeconfig and context where one was named."""

    kind: Kind
    kubeconfig: Path | None = None
    context: str | None = None


def choose(
    *, context: str | None, environment: Mapping[str, str], embedded: Settings, kind_works: Callable[[], bool]
) -> Choice:
    """The rule of this module. `kind_works` is asked only when nothing was named, since it takes a moment."""
    named = context or environment.get("ASRPOOL_KUBECONTEXT") or None
    paths = [Path(part) for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    own_context = f"devcluster-{embedded.name}"
    if named == own_context or (named is None and paths == [embedded.kubeconfig]):
        # `up` tells people to export this KUBECONFIG: that must not turn the cluster into a stranger's.
        return Choice(Kind.EMBEDDED)
    if named is not None or paths:
        kubeconfig = paths[0] if len(paths) == 1 else None
        return Choice(Kind.EXISTING, kubeconfig, named)
    return Choice(Kind.KIND if kind_works() else Kind.EMBEDDED)


def kind_works() -> bool:
    """Whether the `kind` command and a Docker daemon are both there."""
    return shutil.which("kind") is not None and docker_answers()


def embedded_settings(state: Path = DEFAULT_STATE) -> Settings:
    """The settings of the embedded cluster: what its state folder says, else the defaults."""
    return Settings.load(state) or Settings(state=state)


def find_cluster(report: Report = print, *, context: str | None = None, settings: Settings | None = None) -> Cluster:
    """The cluster to use by the rule of this module. It may not be up yet: call `up()`."""
    from devcluster.clusters import EmbeddedCluster, ExistingCluster, KindCluster

    embedded = settings or embedded_settings()
    choice = choose(context=context, environment=os.environ, embedded=embedded, kind_works=kind_works)
    match choice.kind:
        case Kind.EXISTING:
            return ExistingCluster(choice.kubeconfig, choice.context, report)
        case Kind.KIND:
            return KindCluster(report)
        case Kind.EMBEDDED:
            return EmbeddedCluster(embedded, report)
