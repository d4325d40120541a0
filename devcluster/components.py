"""The processes that make up the cluster: how each is called, and where it says that it is well."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from devcluster.settings import DOMAIN, Settings


@dataclass(frozen=True)
class Component:
    """One process of the node. `health` is asked from the host; `reads` are the files whose change means a restart."""

    name: str
    argv: tuple[str, ...]
    health: str | None = None
    reads: tuple[Path, ...] = ()

    def fingerprint(self) -> str:
        """Changes when the process would behave differently if it were started anew."""
        digest = hashlib.sha256("\0".join(self.argv).encode())
        for path in self.reads:
            digest.update(path.read_bytes())
        return digest.hexdigest()


def storage(settings: Settings, binaries: Path) -> list[Component]:
    """What must run before anything else: etcd and containerd."""
    config = settings.config
    return [
        Component(
            "etcd",
            (
                str(binaries / "etcd"),
                f"--data-dir={settings.state / 'etcd'}",
                "--name=node",
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--initial-advertise-peer-urls=http://127.0.0.1:2380",
                "--initial-cluster=node=http://127.0.0.1:2380",
                f"--listen-metrics-urls=http://{settings.node_ip}:2381",
                "--auto-compaction-mode=periodic",
                "--auto-compaction-retention=10m",
                "--log-level=warn",
            ),
            f"http://{settings.node_ip}:2381/health",
        ),
        Component(
            "containerd",
            ("/usr/bin/containerd", "--config", str(config / "containerd.toml")),
            reads=(config / "containerd.toml",),
        ),
    ]


def apiserver(settings: Settings, binaries: Path) -> Component:
    """The API server, with the admission and authorization of a cluster made by kubeadm."""
    pki = settings.pki
    return Component(
        "kube-apiserver",
        (
            str(binaries / "kube-apiserver"),
            "--etcd-servers=http://127.0.0.1:2379",
            f"--bind-address={settings.node_ip}",
            f"--advertise-address={settings.node_ip}",
            "--secure-port=6443",
            f"--service-cluster-ip-range={settings.services}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
            f"--service-account-key-file={pki / 'service-account.pub'}",
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--profiling=false",
        ),
        f"{settings.api_url}/readyz",
    )


def control_plane_and_node(settings: Settings, binaries: Path) -> list[Component]:
    """Everything that talks to the API server."""
    config, pki = settings.config, settings.pki

    def own_kubeconfig(name: str) -> tuple[str, ...]:
        path = config / f"{name}.kubeconfig"
        return tuple(f"--{use}kubeconfig={path}" for use in ("", "authentication-", "authorization-"))

    return [
        Component(
            "kube-controller-manager",
            (
                str(binaries / "kube-controller-manager"),
                *own_kubeconfig("kube-controller-manager"),
                f"--bind-address={settings.node_ip}",
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                f"--root-ca-file={pki / 'ca.crt'}",
                f"--service-account-private-key-file={pki / 'service-account.key'}",
                f"--cluster-signing-cert-file={pki / 'ca.crt'}",
                f"--cluster-signing-key-file={pki / 'ca.key'}",
                "--allocate-node-cidrs=true",
                f"--cluster-cidr={settings.pods}",
                f"--node-cidr-mask-size={settings.pods.prefixlen}",
                "--profiling=false",
            ),
            f"https://{settings.node_ip}:10257/healthz",
        ),
        Component(
            "kube-scheduler",
            (
                str(binaries / "kube-scheduler"),
                *own_kubeconfig("kube-scheduler"),
                f"--bind-address={settings.node_ip}",
                "--leader-elect=false",
                "--profiling=false",
            ),
            f"https://{settings.node_ip}:10259/healthz",
        ),
        Component(
            "kube-proxy",
            (str(binaries / "kube-proxy"), f"--config={config / 'kube-proxy.json'}"),
            f"http://{settings.node_ip}:10256/livez",
            (config / "kube-proxy.json",),
        ),
        Component(
            "coredns",
            (str(binaries / "coredns"), "-conf", str(config / "Corefile")),
            f"http://{settings.node_ip}:8181/ready",
            (config / "Corefile",),
        ),
        Component(
            "kubelet",
            (
                str(binaries / "kubelet"),
                f"--config={config / 'kubelet.json'}",
                f"--kubeconfig={config / 'kubelet.kubeconfig'}",
                f"--hostname-override={settings.node_name}",
                f"--node-ip={settings.node_ip}",
            ),
            f"http://{settings.node_ip}:10248/healthz",
            (config / "kubelet.json",),
        ),
    ]


def all_components(settings: Settings, binaries: Path) -> list[Component]:
    """Every component, in the order of starting."""
    return [
        *storage(settings, binaries),
        apiserver(settings, binaries),
        *control_plane_and_node(settings, binaries),
    ]
