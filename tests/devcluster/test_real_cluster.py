"""The embedded cluster for real, as a second one beside whichever is up: its own name, state folder and addresses."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from devcluster import lifecycle, network
from devcluster.binaries import binaries_folder
from devcluster.builders import BuildahBuilder, build_images
from devcluster.identity import ProcessIdentity
from devcluster.images import Image
from devcluster.node_process import NodeProcess
from devcluster.settings import Settings
from devcluster.target import Kind, choose, embedded_settings, kind_works
from tests.devcluster.machine import Traces, processes_of, traces

PROJECT = Path(__file__).resolve().parents[2]
SETTINGS = Settings(
    name="dctest",
    state=Path("/var/tmp/asrpool-dctest"),
    network=IPv4Network("10.197.0.0/16"),
    extended_resources={"nvidia.com/gpu": 4},
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


class Machine:
    """The cluster under test, and what the machine looked like before it."""

    def __init__(self, before: Traces) -> None:
        self.before = before

    def kubectl(self, *arguments: str, input_text: str | None = None) -> str:
        return lifecycle.kubectl(SETTINGS, *arguments, input_text=input_text)

    def up(self) -> None:
        lifecycle.up(SETTINGS, print)

    def states(self) -> dict[str, str]:
        return {part.name: part.state for part in lifecycle.status(SETTINGS)}

    def pids(self) -> dict[str, int | None]:
        return {part.name: part.pid for part in lifecycle.status(SETTINGS)}


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    choice = choose(context=None, environment=os.environ, embedded=embedded_settings(), kind_works=kind_works)
    if choice.kind is not Kind.EMBEDDED:
        pytest.skip(f"these tests are about the embedded cluster; this run uses {choice.kind.value}")
    lifecycle.down(SETTINGS, print)
    machine = Machine(traces(SETTINGS))
    machine.up()
    yield machine
    lifecycle.down(SETTINGS, print)


@pytest.fixture(scope="module")
def web_image(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image of two layers, built by the project's own way of building: a web server over one file."""
    root = tmp_path_factory.mktemp("context")
    (root / "page.html").write_text("served from a pod\n")
    (root / "Dockerfile").write_text(
        "ARG BASE=python:3.11-slim\nFROM ${BASE}\nCOPY page.html /www/page.html\nUSER 65532:65532\n"
        'CMD ["python3", "-u", "-m", "http.server", "--directory", "/www", "8000"]\n'
    )
    builder = BuildahBuilder(print)
    table = {"web": Image("asrpool-test/web", "Dockerfile")}
    reference = build_images(["web"], builder, print, table=table, root=root)["web"]
    assert set(machine.states().values()) == {"healthy"}
    assert lifecycle.import_image(SETTINGS, builder.layout, reference) is True
    assert lifecycle.import_image(SETTINGS, builder.layout, reference) is False
    return reference


@pytest.fixture(scope="module")
def web(machine: Machine, web_image: str) -> str:
    """A Deployment of two pods behind a Service with a cluster IP and a headless one; the cluster IP."""
    labels = {"app": "web"}
    container = {
        "name": "web",
        "image": web_image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 8000, "name": "http"}],
        "readinessProbe": {"httpGet": {"path": "/page.html", "port": "http"}, "periodSeconds": 1},
    }
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    port = {"name": "http", "port": 80, "targetPort": "http"}
    items = [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod},
        },
        *(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"selector": labels, "ports": [port], **extra},
            }
            for name, extra in (("web", {}), ("web-pods", {"clusterIP": "None"}))
        ),
    ]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    machine.kubectl("apply", "--server-side", "-f", "-", input_text=document)
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    return machine.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")


def page(address: str, port: int = 80) -> str:
    """The page, over a path that no proxy setting may change. Waits out the moment a service is being programmed."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 10
    while True:
        try:
            with opener.open(f"http://{address}:{port}/page.html", timeout=3) as response:
                body: bytes = response.read()
                return body.decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def dns_answers(name: str, kind: int) -> tuple[int, int]:
    """Ask the cluster's DNS; its response code and the number of answers (RFC 1035, section 4.1)."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    question = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(3)
        asker.sendto(question, (str(SETTINGS.dns_service_ip), 53))
        _, flags, _, count, _, _ = struct.unpack(">HHHHHH", asker.recv(4096)[:12])
    return flags & 0xF, count


def test_every_component_is_healthy_and_the_node_takes_pods(machine: Machine) -> None:
    assert set(machine.states().values()) == {"healthy"}
    node = json.loads(machine.kubectl("get", "node", SETTINGS.node_name, "-o", "json"))
    assert node["status"]["capacity"]["pods"] == "110"
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "4"


def test_a_service_answers_on_its_cluster_ip_and_a_pod_on_its_own(machine: Machine, web: str) -> None:
    assert page(web) == "served from a pod\n"
    pod_ip = machine.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].status.podIP}")
    assert page(pod_ip, 8000) == "served from a pod\n"


@pytest.mark.usefixtures("web")
def test_dns_knows_the_clusters_names_and_says_at_once_that_it_knows_no_other() -> None:
    deadline = time.monotonic() + 10
    while dns_answers("_http._tcp.web-pods.default.svc.cluster.local", 33) != (0, 2):
        assert time.monotonic() < deadline, "no two SRV records for two ready pods"
        time.sleep(0.1)
    assert dns_answers("web.default.svc.cluster.local", 1) == (0, 1)
    assert dns_answers("registry.example.com", 1) == (3, 0)


@pytest.mark.usefixtures("web")
def test_a_pod_reaches_services_by_name_and_nothing_outside(machine: Machine) -> None:
    """Also its own service, which may lead the packet back to itself. A packet to the world is refused, not lost."""
    script = (
        "import urllib.request as u, socket;"
        "print([u.urlopen('http://web/page.html', timeout=5).status for _ in range(8)]);\n"
        "try: socket.create_connection(('198.51.100.1', 80), timeout=5); print('reached')\n"
        "except OSError as error: print(type(error).__name__, error)\n"
    )
    said = machine.kubectl("exec", "deployment/web", "--", "python3", "-c", script)
    assert "[200, 200, 200, 200, 200, 200, 200, 200]" in said
    assert "No route to host" in said


@pytest.mark.usefixtures("web")
def test_logs_and_port_forward_work(machine: Machine) -> None:
    assert "GET /page.html" in machine.kubectl("logs", "deployment/web")
    command = [str(binaries_folder() / "kubectl"), f"--kubeconfig={SETTINGS.kubeconfig}"]
    with subprocess.Popen(
        [*command, "port-forward", "service/web", ":80"], stdout=subprocess.PIPE, text=True
    ) as forward:
        assert forward.stdout is not None
        port = int(forward.stdout.readline().split(" ->")[0].rpartition(":")[2])
        assert page("127.0.0.1", port) == "served from a pod\n"
        forward.terminate()


def test_a_pod_that_asks_for_a_gpu_is_scheduled_until_there_are_no_more(machine: Machine, web_image: str) -> None:
    for name, count in (("fits", "4"), ("waits", "1")):
        limits = {"limits": {"nvidia.com/gpu": count}}
        spec = {
            "containers": [{"name": "c", "image": web_image, "resources": limits}],
            "terminationGracePeriodSeconds": 0,
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        machine.kubectl("apply", "-f", "-", input_text=json.dumps(pod))
        if name == "fits":
            machine.kubectl("wait", "--for=condition=Ready", "pod/fits", "--timeout=30s")
    machine.kubectl("wait", "--for=condition=PodScheduled=false", "pod/waits", "--timeout=30s")
    machine.kubectl("delete", "pod", "fits", "waits")


@pytest.mark.usefixtures("web")
def test_a_second_up_changes_nothing(machine: Machine) -> None:
    before = machine.pids()
    machine.up()
    assert machine.pids() == before


def test_a_killed_component_comes_back(machine: Machine) -> None:
    before = machine.pids()
    node = NodeProcess.find(SETTINGS)
    assert node is not None
    node.run(["kill", "-9", str(before["kube-apiserver"]), str(before["kubelet"])])
    machine.up()
    after = machine.pids()
    assert set(machine.states().values()) == {"healthy"}
    assert after["kube-apiserver"] != before["kube-apiserver"]
    assert after["kubelet"] != before["kubelet"]
    assert after["etcd"] == before["etcd"]


def test_a_stopped_component_stays_down_until_it_is_started(machine: Machine, web: str) -> None:
    lifecycle.stop_component(SETTINGS, "kube-apiserver")
    assert machine.states()["kube-apiserver"] == "stopped"
    assert page(web) == "served from a pod\n"
    lifecycle.start_component(SETTINGS, "kube-apiserver")
    assert machine.states()["kube-apiserver"] == "healthy"


def test_after_a_restart_of_the_machine_up_brings_the_objects_back(machine: Machine, web: str) -> None:
    """Everything that ran is gone; the state folder is left, and its process id now belongs to a stranger."""
    running = processes_of(SETTINGS)
    node = NodeProcess.find(SETTINGS)
    assert node is not None
    assert node.identity.kill()
    network.disconnect(SETTINGS)
    assert processes_of(SETTINGS) == frozenset(), f"of {len(running)}"
    with subprocess.Popen(["sleep", "600"]) as stranger:
        ProcessIdentity(stranger.pid, 1, "another-boot").write(SETTINGS.node_identity)
        machine.up()
        assert stranger.poll() is None
        stranger.kill()
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    assert page(web) == "served from a pod\n"


def test_an_interrupted_up_is_made_good_by_the_next(machine: Machine) -> None:
    lifecycle.down(SETTINGS, print)
    command = [sys.executable, "-m", "devcluster", "--name", SETTINGS.name, "--state", str(SETTINGS.state), "up"]
    with subprocess.Popen(
        [*command, "--network", str(SETTINGS.network)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert "node namespaces made" in first.stdout.readline()
        first.send_signal(signal.SIGKILL)
    machine.up()
    assert set(machine.states().values()) == {"healthy"}


def test_down_leaves_the_machine_as_it_was(machine: Machine) -> None:
    running = processes_of(SETTINGS)
    assert len(running) >= 9
    lifecycle.down(SETTINGS, print)
    after = traces(SETTINGS)
    for part in Traces.__dataclass_fields__:
        assert getattr(after, part) - getattr(machine.before, part) == frozenset(), part
        assert getattr(machine.before, part) - getattr(after, part) == frozenset(), part


@pytest.mark.usefixtures("machine")
def test_down_without_a_cluster_is_no_error() -> None:
    lifecycle.down(SETTINGS, print)
