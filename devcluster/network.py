"""The node's cable to the host, and why nothing can leave the machine through it.

Inside the node the default route is `unreachable`: pods, services and the host's one address on the cable are all that exists.
On the host one route leads the cluster's /16 to the node; beneath it lies an `unreachable` route of the worst
metric, set first and removed last, so that a packet for a pod never follows the host's default route, not even while
the node is down.

Pods hang on point-to-point links (the CNI plugin `ptp`), so every packet between two pods is routed and passes
kube-proxy's rules, also where the kernel lacks br_netfilter.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from typing import Any

from devcluster.errors import HostError, UsageError
from devcluster.node_process import NodeProcess
from devcluster.settings import Settings

_LAST_METRIC = "4278198272"
_NODE_LINK = "uplink"
_SINK = "svc-sink"


def _ip(*arguments: str) -> str:
    done = subprocess.run(("ip", *arguments), text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise HostError(
            f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}",
            "The devcluster needs network namespaces, veth links and routes: run it as root on a full Linux kernel.",
        )
    return done.stdout


def _routes() -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(_ip("-json", "-4", "route", "show", "table", "all") or "[]")
    return parsed


def clashing_route(settings: Settings, routes: list[dict[str, Any]]) -> str | None:
    """A route of this machine, other than the cluster's own, that shares addresses with the cluster."""
    for route in routes:
        destination = str(route.get("dst", "default"))
        if destination == "default" or route.get("dev") == settings.link_name:
            continue
        if route.get("type") == "unreachable" and str(route.get("metric")) == _LAST_METRIC:
            continue
        try:
            network = ipaddress.IPv4Network(destination)
        except ValueError:
            continue
        if network.prefixlen > 0 and network.overlaps(settings.network):
            return f"{destination} dev {route.get('dev', '?')}"
    return None


def connect(settings: Settings, node: NodeProcess) -> None:
    """Lay the cable and the routes. Done again on a laid cable it changes nothing."""
    clash = clashing_route(settings, _routes())
    if clash is not None:
        raise UsageError(
            f"{settings.network} is in use on this machine ({clash})",
            "Choose another with --network, say 10.194.0.0/16.",
        )
    _ip("route", "replace", "unreachable", str(settings.network), "metric", _LAST_METRIC)
    if not _cable_laid(settings, node):
        _remove_link(settings)
        pid = str(node.identity.pid)
        _ip("link", "add", settings.link_name, "type", "veth", "peer", "name", _NODE_LINK, "netns", pid)
    _ip("address", "replace", f"{settings.host_ip}/{settings.link.prefixlen}", "dev", settings.link_name)
    _ip("link", "set", settings.link_name, "up")
    inside = [
        f"addr replace {settings.node_ip}/{settings.link.prefixlen} dev {_NODE_LINK}",
        f"link set {_NODE_LINK} up",
        "link set lo up",
        f"route replace {settings.services} dev {_SINK}",
        # Said in so many words, a sender hears at once that there is no way; with no route at all it would wait.
        f"route replace unreachable default metric {_LAST_METRIC}",
    ]
    # A process of the node that calls a service needs some route before kube-proxy rewrites the address. What is not
    # rewritten, because there is no such service, ends in a bridge that leads nowhere.
    node.run(["sh", "-c", f"ip link show {_SINK} >/dev/null 2>&1 || ip link add {_SINK} type bridge"])
    node.run(["ip", "link", "set", _SINK, "up"])
    node.run(["ip", "-batch", "-"], input_text="\n".join(inside) + "\n")
    # The kernel sends each sender few "unreachable" messages by default: a pod that asks twice would wait for nothing.
    node.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward && echo 0 >/proc/sys/net/ipv4/icmp_ratelimit"])
    _ip("route", "replace", str(settings.network), "via", str(settings.node_ip), "dev", settings.link_name)


def disconnect(settings: Settings) -> None:
    """Take the cable and the routes away. Nothing happens where there are none."""
    _remove_link(settings)
    route = ("route", "del", "unreachable", str(settings.network), "metric", _LAST_METRIC)
    subprocess.run(("ip", *route), capture_output=True, check=False)


def _cable_laid(settings: Settings, node: NodeProcess) -> bool:
    host_end = subprocess.run(("ip", "link", "show", settings.link_name), capture_output=True, check=False)
    return host_end.returncode == 0 and node.run(["ip", "link", "show", _NODE_LINK], check=False).returncode == 0


def _remove_link(settings: Settings) -> None:
    subprocess.run(("ip", "link", "del", settings.link_name), capture_output=True, check=False)
