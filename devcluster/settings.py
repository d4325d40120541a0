"""What tells one development cluster from another, and every address and path that follows from it.

A `/16` of private addresses is divided the same way for each cluster, so a second cluster needs only another name,
state folder and `/16`. Settings are kept in the state folder: `down` and `status` need no options but `--state`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from itertools import islice
from pathlib import Path
from typing import Self

from devcluster.errors import UsageError

DEFAULT_STATE = Path("/var/lib/asrpool-devcluster")
DEFAULT_NETWORK = IPv4Network("10.193.0.0/16")
DOMAIN = "cluster.local"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")
_RESOURCE = re.compile(r"[a-z0-9.-]+/[A-Za-z0-9._-]+")


def cache_folder() -> Path:
    """Where built binaries, root file systems and image layers are kept between clusters."""
    return Path(os.environ.get("ASRPOOL_CACHE") or Path.home() / ".cache" / "asrpool")


@dataclass(frozen=True)
class Settings:
    """One cluster. `name`, `state` and `network` must differ between clusters on one machine."""

    name: str = "asrpool"
    state: Path = DEFAULT_STATE
    network: IPv4Network = DEFAULT_NETWORK
    dns_ttl_seconds: int = 5
    extended_resources: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what would fail later with a worse message."""
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"'{self.name}' cannot name a cluster", "Use at most 12 of a-z, 0-9 and -, a letter first."
            )
        if not self.state.is_absolute() or any(self.state.is_relative_to(p) for p in ("/run", "/var/run", "/var/log")):
            raise UsageError(
                f"The state folder cannot be {self.state}",
                "Give an absolute path outside /run and /var/log: the node has its own of these.",
            )
        if self.network.prefixlen != 16 or not self.network.is_private:
            raise UsageError(f"{self.network} is not a private /16", "Give for instance 10.194.0.0/16.")
        if not 0 <= self.dns_ttl_seconds <= 3600:
            raise UsageError(f"A DNS TTL of {self.dns_ttl_seconds} s is out of range", "Use 0 to 3600.")
        for resource, count in self.extended_resources.items():
            if not _RESOURCE.fullmatch(resource) or count < 0:
                raise UsageError(
                    f"'{resource}={count}' is no extended resource", "Write for instance nvidia.com/gpu=4."
                )

    @property
    def node_name(self) -> str:
        """The node's name in Kubernetes, and its host name."""
        return f"{self.name}-node"

    @property
    def link_name(self) -> str:
        """The host's end of the cable to the node (a link name has at most 15 characters)."""
        return f"dc-{self.name}"

    @property
    def cgroup(self) -> str:
        """The cgroup under which every pod of this cluster lives."""
        return f"asrpool-devcluster-{self.name}"

    @property
    def pods(self) -> IPv4Network:
        """Addresses of pods."""
        return self._part(0)

    @property
    def services(self) -> IPv4Network:
        """Cluster IPs of services."""
        return self._part(1)

    @property
    def link(self) -> IPv4Network:
        """The two addresses of the cable between host and node."""
        return next(self._part(2).subnets(new_prefix=30))

    @property
    def host_ip(self) -> IPv4Address:
        """The host, as pods see it."""
        return self.link[1]

    @property
    def node_ip(self) -> IPv4Address:
        """The node: API server, kubelet and CoreDNS listen here."""
        return self.link[2]

    @property
    def api_service_ip(self) -> IPv4Address:
        """`kubernetes.default.svc`: by definition the first service address."""
        return self.services[1]

    @property
    def dns_service_ip(self) -> IPv4Address:
        """`kube-dns.kube-system.svc`: the tenth service address, as kubeadm has it."""
        return self.services[10]

    @property
    def api_url(self) -> str:
        """The API server, from the host and from pods on the host's network."""
        return f"https://{self.node_ip}:6443"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """Rendered configuration of the components, and their kubeconfigs."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """One log file for each component."""
        return self.state / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def control_socket(self) -> Path:
        """Where the node's process 1 takes orders."""
        return self.state / "node.sock"

    @property
    def node_identity(self) -> Path:
        """Which process is the node, told so that a reused process id is never taken for it."""
        return self.state / "node.json"

    def _part(self, index: int) -> IPv4Network:
        return next(islice(self.network.subnets(new_prefix=18), index, None))

    def save(self) -> None:
        """Keep the settings where `load` finds them."""
        document = {
            "name": self.name,
            "network": str(self.network),
            "dns_ttl_seconds": self.dns_ttl_seconds,
            "extended_resources": dict(self.extended_resources),
        }
        partial = self.state / "settings.json.partial"
        partial.write_text(json.dumps(document, indent=1) + "\n")
        partial.replace(self.state / "settings.json")

    @classmethod
    def load(cls, state: Path) -> Self | None:
        """The settings of the cluster in that folder, or None where there is none."""
        try:
            document = json.loads((state / "settings.json").read_text())
        except FileNotFoundError:
            return None
        return cls(
            name=document["name"],
            state=state,
            network=IPv4Network(document["network"]),
            dns_ttl_seconds=document["dns_ttl_seconds"],
            extended_resources=document["extended_resources"],
        )
