"""What the components are told. Each test names something that broke a cluster, or would."""

from __future__ import annotations

import json
import subprocess
import tomllib
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from devcluster import configuration
from devcluster.components import Component, all_components
from devcluster.pki import certificates, make_pki
from devcluster.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("other", tmp_path / "state", IPv4Network("10.50.0.0/16"), dns_ttl_seconds=1)


def test_the_kubelet_runs_on_either_cgroup_version_and_never_evicts_for_the_hosts_disk(settings: Settings) -> None:
    document = json.loads(configuration.kubelet(settings))
    assert document["failCgroupV1"] is False
    assert document["cgroupRoot"] == f"/{settings.cgroup}"
    assert document["enforceNodeAllocatable"] == []
    assert set(document["evictionHard"].values()) == {"0%"}
    assert document["clusterDNS"] == ["10.50.64.10"]
    assert document["authentication"]["anonymous"] == {"enabled": False}


def test_containerd_keeps_to_its_own_folders_and_pulls_no_pause_image(settings: Settings) -> None:
    document = tomllib.loads(configuration.containerd(settings))
    cri = document["plugins"]["io.containerd.grpc.v1.cri"]
    assert document["root"] == f"{settings.state}/containerd"
    assert document["state"].startswith("/run/")
    assert cri["restrict_oom_score_adj"] is True
    assert cri["sandbox_image"] == f"docker.io/{configuration.PAUSE_IMAGE}"


def test_pods_get_addresses_of_the_pod_range_over_links_that_are_routed(settings: Settings) -> None:
    plugin = json.loads(configuration.cni(settings))["plugins"][0]
    assert plugin["type"] == "ptp"
    assert plugin["ipMasq"] is False
    assert plugin["ipam"]["ranges"] == [[{"subnet": "10.50.0.0/18"}]]


def test_kube_proxy_leaves_connection_tracking_limits_to_the_host(settings: Settings) -> None:
    conntrack = json.loads(configuration.kube_proxy(settings))["conntrack"]
    assert (conntrack["maxPerCore"], conntrack["min"]) == (0, 0)


def test_dns_has_the_ttl_asked_for_no_cache_and_no_way_out(settings: Settings) -> None:
    text = configuration.corefile(settings)
    assert "ttl 1\n" in text
    assert "cache" not in text
    assert "forward" not in text
    assert text.index("kubernetes") < text.index("rcode NXDOMAIN")


def test_the_dns_service_points_at_the_node(settings: Settings) -> None:
    items = {item["kind"]: item for item in json.loads(configuration.addons(settings))["items"]}
    assert items["Service"]["spec"]["clusterIP"] == "10.50.64.10"
    assert items["EndpointSlice"]["endpoints"][0]["addresses"] == [str(settings.node_ip)]
    assert items["EndpointSlice"]["metadata"]["labels"]["kubernetes.io/service-name"] == "kube-dns"


def test_files_that_are_right_already_are_not_touched(settings: Settings) -> None:
    settings.state.mkdir()
    make_pki(settings)
    configuration.write_all(settings)
    files = [path for path in [*settings.config.rglob("*"), settings.kubeconfig] if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    configuration.write_all(settings)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert settings.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_every_certificate_is_signed_by_its_authority_and_made_once(settings: Settings) -> None:
    settings.state.mkdir()
    (settings.state / "pki.partial").mkdir()
    assert make_pki(settings) is True
    assert make_pki(settings) is False
    for certificate in certificates(settings):
        verify = ["openssl", "verify", "-CAfile", f"{certificate.authority}.crt", f"{certificate.file}.crt"]
        subprocess.run(verify, cwd=settings.pki, check=True, capture_output=True)
    shown = subprocess.check_output(
        ["openssl", "x509", "-in", settings.pki / "apiserver.crt", "-noout", "-ext", "subjectAltName"], text=True
    )
    for name in ("DNS:kubernetes.default.svc", "IP Address:10.50.64.1", f"IP Address:{settings.node_ip}"):
        assert name in shown


def test_a_component_is_started_anew_when_its_arguments_or_files_change(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("a")
    before = Component("x", ("/bin/x",), reads=(file,)).fingerprint()
    assert Component("x", ("/bin/x",), reads=(file,)).fingerprint() == before
    assert Component("x", ("/bin/x", "-v"), reads=(file,)).fingerprint() != before
    file.write_text("b")
    assert Component("x", ("/bin/x",), reads=(file,)).fingerprint() != before


def test_the_api_server_authorizes_and_admits_as_a_common_cluster_does(settings: Settings) -> None:
    components = {component.name: component for component in all_components(settings, Path("/bin"))}
    flags = components["kube-apiserver"].argv
    assert "--authorization-mode=Node,RBAC" in flags
    assert "--enable-admission-plugins=NodeRestriction" in flags
    assert "--kubelet-preferred-address-types=InternalIP" in flags
    assert "--use-service-account-credentials=true" in components["kube-controller-manager"].argv
