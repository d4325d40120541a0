"""`up`, `down` and `status`. Each step asks what is already so and does only the rest.

That is the whole of recovery: a second `up`, one after an interrupted `up`, after a killed component or after a
restart of the machine takes the same path and finds more or less of it done.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from devcluster import configuration, host, network
from devcluster.archive import write_program_image
from devcluster.binaries import binaries_folder, ensure_binaries
from devcluster.components import Component, all_components, apiserver, control_plane_and_node, storage
from devcluster.errors import ComponentError, HostError, UsageError
from devcluster.health import Api, ComponentStatus, component_check, component_statuses, wait_until_well
from devcluster.identity import ProcessIdentity
from devcluster.node_process import NodeProcess, remove_private_folders
from devcluster.oci import Layout
from devcluster.packages import CLUSTER_PACKAGES, ensure_packages
from devcluster.pki import make_pki
from devcluster.settings import Settings

Report = Callable[[str], None]


def up(settings: Settings, report: Report) -> None:
    """Bring the cluster up, or repair it. Returns when the node is Ready and DNS answers."""
    host.require_root()
    ensure_packages(CLUSTER_PACKAGES, report)
    binaries = ensure_binaries(report)
    with _lock(settings):
        _refuse_other_settings(settings)
        for folder in (settings.state, settings.logs):
            folder.mkdir(parents=True, exist_ok=True)
        settings.save()
        began = time.monotonic()

        def step(text: str) -> None:
            report(f"{time.monotonic() - began:5.1f} s  {text}")

        node = NodeProcess.find(settings)
        if node is None:
            _clear_remains(settings)
            host.save_sysctls(settings)
            host.make_cgroups(settings)
            node = NodeProcess.start(settings)
            step("node namespaces made")
        network.connect(settings, node)
        if make_pki(settings):
            step("keys and certificates made")
        configuration.write_all(settings)
        api = Api(settings)
        _start(settings, node, [*storage(settings, binaries), apiserver(settings, binaries)])
        _import_pause_image(settings, node, binaries)
        server = apiserver(settings, binaries)
        wait_until_well(settings, server.name, component_check(api, node, server), 90.0)
        step("API server answers")
        rest = control_plane_and_node(settings, binaries)
        _start(settings, node, rest)
        kubectl(settings, "apply", "--server-side", "--force-conflicts", "-f", str(settings.config / "addons.json"))
        for component in rest:
            wait_until_well(settings, component.name, component_check(api, node, component), 60.0)
        step("control plane and node components answer")
        wait_until_well(settings, "the node", api.node_ready, 60.0)
        _wait_for_default_service_account(settings, api)
        if settings.extended_resources:
            _give_extended_resources(settings)
        step(f"node {settings.node_name} is Ready")


def down(settings: Settings, report: Report) -> None:
    """End the cluster and remove all it put on this machine but the cache. Nothing happens where there is none."""
    host.require_root()
    if not settings.state.exists():
        network.disconnect(settings)
        host.remove_cgroups(settings)
        return
    with _lock(settings):
        _end_node(settings)
        network.disconnect(settings)
        busy = host.remove_cgroups(settings)
        host.restore_sysctls(settings)
        remove_private_folders(settings)
        shutil.rmtree(settings.state)
    if busy:
        raise HostError(
            f"These cgroups are still in use: {', '.join(map(str, busy))}",
            "A process was moved into them by hand: end it and run `down` again.",
        )
    report(f"cluster {settings.name} is down")


def status(settings: Settings) -> list[ComponentStatus]:
    """The state of each component, the node first."""
    node = NodeProcess.find(settings)
    if node is None:
        return [ComponentStatus("node", "stopped", "no process", None, 0)]
    api = Api(settings)
    trouble = api.node_ready()
    first = ComponentStatus(
        "node", "healthy" if trouble is None else "unhealthy", trouble or "Ready", node.identity.pid, 0
    )
    parts = component_statuses(all_components(settings, binaries_folder()), node.units(), api.ailment)
    return [first, *parts]


def stop_component(settings: Settings, name: str, grace_seconds: float = 3.0) -> None:
    """Take one component down until `start_component` or `up`; returns when its process is gone."""
    node = _running_node(settings)
    _component(settings, name)
    node.order("stop", name=name, grace_seconds=grace_seconds)

    def check() -> str | None:
        return next((f"process {u.pid} runs" for u in node.units() if u.name == name and u.pid is not None), None)

    wait_until_well(settings, f"stopping {name}", check, grace_seconds + 5.0)


def start_component(settings: Settings, name: str) -> None:
    """Start one component again; returns when it answers."""
    node = _running_node(settings)
    component = _component(settings, name)
    _start(settings, node, [component])
    wait_until_well(settings, name, component_check(Api(settings), node, component), 60.0)


def kubectl(settings: Settings, *arguments: str, input_text: str | None = None) -> str:
    """Run kubectl as the administrator."""
    command = [str(binaries_folder() / "kubectl"), f"--kubeconfig={settings.kubeconfig}", *arguments]
    done = subprocess.run(command, input=input_text, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise ComponentError(f"`kubectl {' '.join(arguments)}` failed: {done.stderr.strip()}", "See the message.")
    return done.stdout


def import_archive(settings: Settings, archive: Path) -> None:
    """Put an image archive (docker-archive or OCI layout, as a tar file) into the node's store."""
    _running_node(settings).run(_ctr("images", "import", str(archive)))


def import_image(settings: Settings, layout: Layout, reference: str) -> bool:
    """Put an image of an OCI layout into the node's store, sending only what it lacks; False where it has it all."""
    node = _running_node(settings)
    if f"docker.io/{reference}" in node.run(_ctr("images", "list", "--quiet")).stdout.split():
        return False
    held = set(node.run(_ctr("content", "list", "--quiet")).stdout.split())
    # The stream waits in a file: written into a pipe, an import that fails early would leave two ends to reconcile.
    with tempfile.TemporaryFile(dir=settings.state) as stream:
        layout.write_stream(reference, held, stream)
        stream.seek(0)
        done = subprocess.run(
            node.command(_ctr("images", "import", "-")), stdin=stream, capture_output=True, check=False
        )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ComponentError(f"Importing {reference} failed: {said}", f"See {settings.logs}/containerd.log.")
    return True


def _ctr(*arguments: str) -> list[str]:
    return ["/usr/bin/ctr", "--address", configuration.CONTAINERD_SOCKET, "--namespace", "k8s.io", *arguments]


def _running_node(settings: Settings) -> NodeProcess:
    node = NodeProcess.find(settings)
    if node is None:
        raise UsageError(f"Cluster {settings.name} is not up", "Run `python -m devcluster up`.")
    return node


def _component(settings: Settings, name: str) -> Component:
    components = {component.name: component for component in all_components(settings, binaries_folder())}
    if name not in components:
        raise UsageError(f"There is no component '{name}'", f"Name one of {', '.join(components)}.")
    return components[name]


def _start(settings: Settings, node: NodeProcess, components: Sequence[Component]) -> None:
    passed_on = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **passed_on, "HOME": "/root"}
    for component in components:
        node.order(
            "start",
            name=component.name,
            argv=component.argv,
            environment=environment,
            log=str(settings.logs / f"{component.name}.log"),
            fingerprint=component.fingerprint(),
        )


def _import_pause_image(settings: Settings, node: NodeProcess, binaries: Path) -> None:
    wait_until_well(
        settings,
        "containerd",
        lambda: node.run(_ctr("version"), check=False).stderr.strip() or None,
        30.0,
    )
    image = f"docker.io/{configuration.PAUSE_IMAGE}"
    if image in node.run(_ctr("images", "list", "--quiet")).stdout.split():
        return
    archive = settings.state / "pause.tar"
    write_program_image(binaries / "pause", configuration.PAUSE_IMAGE, archive)
    node.run(_ctr("images", "import", str(archive)))
    archive.unlink()


def _give_extended_resources(settings: Settings) -> None:
    amounts = {name: str(count) for name, count in settings.extended_resources.items()}
    patch = json.dumps({"status": {"capacity": amounts, "allocatable": amounts}})
    kubectl(settings, "patch", "node", settings.node_name, "--subresource=status", "--type=merge", f"--patch={patch}")


def _wait_for_default_service_account(settings: Settings, api: Api) -> None:
    """Until the controller manager has made it, every pod of the default namespace is refused."""

    def check() -> str | None:
        return api.ailment(f"{settings.api_url}/api/v1/namespaces/default/serviceaccounts/default")

    wait_until_well(settings, "the default service account", check, 30.0)


def _refuse_other_settings(settings: Settings) -> None:
    saved = Settings.load(settings.state)
    if saved is not None and (saved.name, saved.network) != (settings.name, settings.network):
        raise UsageError(
            f"{settings.state} holds cluster '{saved.name}' on {saved.network}",
            "Take it down first, or give this one another --state.",
        )


def _clear_remains(settings: Settings) -> None:
    """After a restart or a killed node: what a dead node can have left outside its namespaces."""
    network.disconnect(settings)
    host.remove_cgroups(settings)


def _end_node(settings: Settings) -> None:
    identity = ProcessIdentity.read(settings.node_identity)
    if identity is not None and not identity.kill():
        raise ComponentError(f"The node (process {identity.pid}) does not end", "Look at it with ps, then try again.")


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """One `up` or `down` of a cluster at a time. The file lies beside the state folder, which `down` removes."""
    settings.state.parent.mkdir(parents=True, exist_ok=True)
    path = settings.state.with_name(settings.state.name + ".lock")
    while True:
        with path.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not path.exists() or not path.samefile(f"/proc/self/fd/{handle.fileno()}"):
                continue  # A `down` that held it took the file away: what we hold excludes nobody.
            try:
                yield
            finally:
                if not settings.state.exists():
                    path.unlink(missing_ok=True)
            return


def status_document(settings: Settings) -> dict[str, Any]:
    """What `status --json` prints."""
    return {
        "name": settings.name,
        "state": str(settings.state),
        "kubeconfig": str(settings.kubeconfig),
        "network": str(settings.network),
        "components": [asdict(part) for part in status(settings)],
    }
