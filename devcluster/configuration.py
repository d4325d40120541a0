"""The configuration files of the cluster's components, rendered from the settings. Pure: text in, text out.

JSON is written wherever a component reads YAML, since each JSON document is one, and the standard library writes it.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from devcluster.settings import DOMAIN, Settings

PAUSE_IMAGE = "asrpool/pause:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CNI_BINARIES = "/usr/lib/cni"


def _json(document: object) -> str:
    return json.dumps(document, indent=1) + "\n"


def kubeconfig(settings: Settings, user: str, *, embed: bool = False) -> str:
    """A kubeconfig for one of the certificates; with `embed` it holds the keys themselves and can be copied away."""

    def pem(field: str, file: Path) -> dict[str, str]:
        if embed:
            return {f"{field}-data": base64.b64encode(file.read_bytes()).decode()}
        return {field: str(file)}

    name = f"devcluster-{settings.name}"
    return _json(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [
                {
                    "name": name,
                    "cluster": {
                        "server": settings.api_url,
                        **pem("certificate-authority", settings.pki / "ca.crt"),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        **pem("client-certificate", settings.pki / f"{user}.crt"),
                        **pem("client-key", settings.pki / f"{user}.key"),
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        }
    )


def kubelet(settings: Settings) -> str:
    """The kubelet's: real pods under the cluster's own cgroup, and no eviction for the disk or memory of the host."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": str(settings.node_ip),
            "healthzBindAddress": str(settings.node_ip),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(settings.pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(settings.pki / "kubelet-server.crt"),
            "tlsPrivateKeyFile": str(settings.pki / "kubelet-server.key"),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "clusterDNS": [str(settings.dns_service_ip)],
            "clusterDomain": DOMAIN,
            "resolvConf": str(settings.config / "resolv.conf"),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{settings.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
            "imageGCHighThresholdPercent": 100,
            "maxPods": 110,
            "serializeImagePulls": False,
            "eventRecordQPS": 0,
            "oomScoreAdj": 0,
            "nodeStatusUpdateFrequency": "4s",
        }
    )


def kube_proxy(settings: Settings) -> str:
    """kube-proxy's: iptables, and no connection-tracking limits, which only the host's namespace may set."""
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "bindAddress": str(settings.node_ip),
            "healthzBindAddress": f"{settings.node_ip}:10256",
            "metricsBindAddress": f"{settings.node_ip}:10249",
            "clientConnection": {"kubeconfig": str(settings.config / "kube-proxy.kubeconfig")},
            "clusterCIDR": str(settings.pods),
            "hostnameOverride": settings.node_name,
            "oomScoreAdj": 0,
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "iptables": {"minSyncPeriod": "0s"},
        }
    )


def containerd(settings: Settings) -> str:
    """containerd's: its own folders, the local pause image, and no registry."""
    # Without CAP_SYS_RESOURCE a lower OOM score cannot be set, and each sandbox would fail for want of it.
    return f'''version = 2
root = "{settings.state}/containerd"
state = "/run/containerd/state"
oom_score = 0

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_tcp_service = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_BINARIES}"
conf_dir = "{settings.config}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
'''


def cni(settings: Settings) -> str:
    """The pod network: a point-to-point link for each pod, addresses from the pod range, host ports."""
    return _json(
        {
            "cniVersion": "0.4.0",
            "name": settings.name,
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "mtu": 1500,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": "/run/cni-addresses",
                        "routes": [{"dst": "0.0.0.0/0"}],
                        "ranges": [[{"subnet": str(settings.pods)}]],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }
    )


def corefile(settings: Settings) -> str:
    """CoreDNS's: the cluster's names, uncached so that a new pod is seen at once, and 'no such name' for all others."""
    return f""". {{
    bind {settings.node_ip}
    health {settings.node_ip}:8080
    ready {settings.node_ip}:8181
    prometheus {settings.node_ip}:9153
    errors
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {settings.config}/coredns.kubeconfig
        pods insecure
        ttl {settings.dns_ttl_seconds}
    }}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def addons(settings: Settings) -> str:
    """The objects every cluster has beside its components: what CoreDNS may read, and the DNS service itself."""
    labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        {"name": "metrics", "port": 9153, "protocol": "TCP"},
    ]
    metadata = {"name": "system:coredns", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}
    items: list[dict[str, Any]] = [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": metadata,
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["endpoints", "services", "pods", "namespaces"],
                    "verbs": ["list", "watch"],
                },
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "User", "name": "system:coredns", "apiGroup": "rbac.authorization.k8s.io"}],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {"clusterIP": str(settings.dns_service_ip), "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns-node",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [str(settings.node_ip)], "conditions": {"ready": True}}],
            "ports": ports,
        },
    ]
    return _json({"apiVersion": "v1", "kind": "List", "items": items})


def write_all(settings: Settings) -> None:
    """Write every file that a component reads."""
    (settings.config / "cni").mkdir(parents=True, exist_ok=True)
    files = {
        "kubelet.json": kubelet(settings),
        "kube-proxy.json": kube_proxy(settings),
        "containerd.toml": containerd(settings),
        "cni/10-pods.conflist": cni(settings),
        "Corefile": corefile(settings),
        "addons.json": addons(settings),
        # For pods that ask for the node's own DNS: there is none, and saying so beats the host's, out of reach here.
        "resolv.conf": "options attempts:1\n",
    }
    for user in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns", "kubelet"):
        files[f"{user}.kubeconfig"] = kubeconfig(settings, user)
    for name, text in files.items():
        _write_if_new(settings.config / name, text)
    _write_if_new(settings.kubeconfig, kubeconfig(settings, "admin", embed=True), mode=0o600)


def _write_if_new(path: Path, text: str, mode: int = 0o644) -> None:
    """Leave a file alone that is right already: kube-proxy ends itself when its configuration is touched."""
    if path.exists() and path.read_text() == text:
        return
    partial = path.with_name(path.name + ".partial")
    partial.touch(mode=mode)
    partial.write_text(text)
    partial.replace(path)
