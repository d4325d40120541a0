"""The three clusters behind `target.Cluster`: the embedded one, one made by kind, and one that was there before."""

from __future__ import annotations

import os
import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from devcluster import lifecycle
from devcluster.binaries import ensure_binaries
from devcluster.builders import BuildahBuilder, build_images, choose_builder
from devcluster.errors import ComponentError, UsageError
from devcluster.images import IMAGES
from devcluster.settings import Settings, cache_folder

Report = Callable[[str], None]
KIND_CLUSTER = "asrpool"


class _KubectlCluster(ABC):
    """What every cluster has in common once there is a kubeconfig: kubectl and helm from the cache."""

    def __init__(self, name: str, kubeconfig: Path, context: str | None, report: Report) -> None:
        self.name = name
        self.kubeconfig_path = kubeconfig
        self._context = context
        self._report = report

    def env(self) -> dict[str, str]:
        """The environment of this process, with KUBECONFIG and a PATH on which kubectl and helm are found."""
        programs = ensure_binaries(self._report, ("kubectl", "helm"))
        path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        # HELM_KUBECONTEXT is helm's own; kubectl has no such variable and gets its context as an option.
        context = {"HELM_KUBECONTEXT": self._context} if self._context else {}
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig_path), "PATH": path, **context}

    def kubectl(self, *arguments: str, input_text: str | None = None) -> str:
        """Run kubectl; what it printed."""
        context = (f"--context={self._context}",) if self._context else ()
        return self._run("kubectl", (*context, *arguments), input_text)

    def helm(self, *arguments: str) -> str:
        """Run helm; what it printed."""
        return self._run("helm", arguments, None)

    def load_image(self, image: str) -> str:
        """Make one image known: an archive's path, or a name of `images.IMAGES`; the reference that pods give."""
        if image in IMAGES:
            return self.images([image])[image]
        archive = Path(image)
        if not archive.is_file():
            raise UsageError(f"'{image}' is neither an image of the project nor an archive", "Name one of either.")
        self._load_archive(archive)
        return image

    @abstractmethod
    def images(self, names: Iterable[str]) -> dict[str, str]:
        """Build images of the project and make them known: name → reference."""

    @abstractmethod
    def _load_archive(self, archive: Path) -> None: ...

    def endpoint(self, namespace: str, service: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        """A forwarded port of this machine, for clusters whose addresses are out of reach."""
        return self._forward(namespace, service, port)

    def stop_component(self, component: str) -> None:
        """Only the embedded cluster can do this."""
        raise UsageError(f"{component} of {self.name} is not ours to stop", "Unset KUBECONFIG to use the devcluster.")

    def start_component(self, component: str) -> None:
        """Only the embedded cluster can do this."""
        self.stop_component(component)

    def _run(self, program: str, arguments: Iterable[str], input_text: str | None) -> str:
        command = [program, *arguments]
        environment = self.env()
        programs = environment["PATH"].split(os.pathsep)[0]
        done = subprocess.run(
            [f"{programs}/{program}", *arguments],
            env=environment,
            input=input_text,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise ComponentError(
                f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}", f"Cluster: {self.name}."
            )
        return done.stdout

    @contextmanager
    def api(self) -> Iterator[str]:
        """A URL on this machine that answers as the API server with this kubeconfig's rights, while the context is open."""
        with self._kubectl_serving("proxy", "--port=0") as port:
            yield f"http://127.0.0.1:{port}"

    @contextmanager
    def _forward(self, namespace: str, service: str, port: int) -> Iterator[tuple[str, int]]:
        arguments = ("--namespace", namespace, "port-forward", f"service/{service}", f":{port}")
        with self._kubectl_serving(*arguments) as local_port:
            yield "127.0.0.1", local_port

    @contextmanager
    def _kubectl_serving(self, *arguments: str) -> Iterator[int]:
        """Run a kubectl that listens on a loopback port of its choice, which its first line names."""
        environment = self.env()
        kubectl = environment["PATH"].split(os.pathsep)[0] + "/kubectl"
        context = (f"--context={self._context}",) if self._context else ()
        command = [kubectl, *context, *arguments]
        process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found is None:
                raise ComponentError(f"`kubectl {' '.join(arguments)}` failed: {line.strip()}", "Is a pod of it Ready?")
            yield int(found[1])
        finally:
            process.terminate()
            process.wait()


class EmbeddedCluster(_KubectlCluster):
    """The devcluster. Its pod and service addresses are reached directly."""

    def __init__(self, settings: Settings, report: Report) -> None:
        super().__init__(f"devcluster {settings.name}", settings.kubeconfig, None, report)
        self.settings = settings

    def up(self) -> None:
        """Bring it up, or repair it."""
        lifecycle.up(self.settings, self._report)

    def down(self) -> bool:
        """Remove it."""
        lifecycle.down(self.settings, self._report)
        return True

    def images(self, names: Iterable[str]) -> dict[str, str]:
        """Build with buildah and send the node the layers it lacks."""
        wanted = list(names)
        builder = BuildahBuilder(self._report)
        references = build_images(wanted, builder, self._report)
        for reference in references.values():
            if lifecycle.import_image(self.settings, builder.layout, reference):
                self._report(f"loaded image {reference}")
        return references

    def _load_archive(self, archive: Path) -> None:
        lifecycle.import_archive(self.settings, archive)

    @contextmanager
    def endpoint(self, namespace: str, service: str, port: int) -> Iterator[tuple[str, int]]:
        """The service's own address."""
        address = self.kubectl("--namespace", namespace, "get", "service", service, "-o", "jsonpath={.spec.clusterIP}")
        yield address, port

    def stop_component(self, component: str) -> None:
        """Take it down until it is started again."""
        lifecycle.stop_component(self.settings, component)

    def start_component(self, component: str) -> None:
        """Start it again and wait until it answers."""
        lifecycle.start_component(self.settings, component)


class KindCluster(_KubectlCluster):
    """A cluster made by kind, under a kubeconfig of its own in the cache."""

    def __init__(self, report: Report) -> None:
        kubeconfig = cache_folder() / "kind.kubeconfig"
        super().__init__(f"kind {KIND_CLUSTER}", kubeconfig, f"kind-{KIND_CLUSTER}", report)

    def up(self) -> None:
        """Create it unless it is there."""
        self.kubeconfig_path.parent.mkdir(parents=True, exist_ok=True)
        if KIND_CLUSTER in _checked("kind", "get", "clusters").split():
            _checked("kind", "export", "kubeconfig", *self._named())
        else:
            self._report(f"kind creates cluster {KIND_CLUSTER}")
            _checked("kind", "create", "cluster", "--wait", "120s", *self._named())

    def down(self) -> bool:
        """Delete it."""
        _checked("kind", "delete", "cluster", *self._named())
        return True

    def images(self, names: Iterable[str]) -> dict[str, str]:
        """Build with Docker and load into kind's node."""
        references = build_images(names, choose_builder(self._report), self._report)
        for reference in references.values():
            _checked("kind", "load", "docker-image", reference, "--name", KIND_CLUSTER)
        return references

    def _load_archive(self, archive: Path) -> None:
        _checked("kind", "load", "image-archive", str(archive), "--name", KIND_CLUSTER)

    def _named(self) -> tuple[str, ...]:
        return ("--name", KIND_CLUSTER, "--kubeconfig", str(self.kubeconfig_path))


class ExistingCluster(_KubectlCluster):
    """A cluster that someone named. Images reach it through the registry in `ASRPOOL_REGISTRY`."""

    def __init__(self, kubeconfig: Path | None, context: str | None, report: Report) -> None:
        path = kubeconfig or Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
        super().__init__(context or str(path), path, context, report)

    def up(self) -> None:
        """It must answer already."""
        self.kubectl("get", "--raw", "/readyz")
        self._report(f"using the cluster that was named: {self.name}")

    def down(self) -> bool:
        """It is not ours."""
        return False

    def images(self, names: Iterable[str]) -> dict[str, str]:
        """Build and push."""
        registry = os.environ.get("ASRPOOL_REGISTRY", "").rstrip("/")
        if not registry:
            raise UsageError(
                f"Images cannot be put into {self.name} from here",
                "Set ASRPOOL_REGISTRY to a registry that you can push to and the cluster can pull from.",
            )
        builder = choose_builder(self._report)
        references = build_images(names, builder, self._report)
        pushed = {name: f"{registry}/{reference}" for name, reference in references.items()}
        for name, reference in references.items():
            self._report(f"pushing {pushed[name]}")
            if isinstance(builder, BuildahBuilder):
                builder.push(reference, pushed[name])
            else:
                _checked("docker", "tag", reference, pushed[name])
                _checked("docker", "push", pushed[name])
        return pushed

    def _load_archive(self, archive: Path) -> None:
        raise UsageError(f"{archive} cannot be put into {self.name}", "Push the image to a registry it can pull from.")


def _checked(*command: str) -> str:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise ComponentError(f"`{' '.join(command)}` failed: {done.stderr.strip()}", "See the message.")
    return done.stdout
