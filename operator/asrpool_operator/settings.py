"""Settings of the operator process, from flags and environment.

Every flag has an environment variable (`--worker-image` is `ASRPOOL_OPERATOR_WORKER_IMAGE`); the flag wins. All
wrong settings are named at once, before anything starts.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asrpool_operator.errors import SettingsError

ENV_PREFIX = "ASRPOOL_OPERATOR_"
_DNS_LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator process was told."""

    namespaces: tuple[str, ...]
    kubeconfig: str | None
    context: str | None
    leader_elect: bool
    lease_namespace: str
    lease_name: str
    identity: str
    host: str
    port: int
    interval_seconds: float
    worker_image: str
    gateway_image: str
    image_pull_policy: str
    cluster_domain: str
    log_level: str
    log_json: bool


@dataclass(frozen=True, slots=True)
class _Option:
    flag: str
    default: str
    help: str
    many: bool = False

    @property
    def name(self) -> str:
        return self.flag.lstrip("-").replace("-", "_")

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()


_OPTIONS = (
    _Option("--namespace", "", "watch only this namespace; repeat for several (default: the whole cluster)", many=True),
    _Option(
        "--kubeconfig", "", "kubeconfig file (default: the pod's service account, else KUBECONFIG, else ~/.kube/config)"
    ),
    _Option("--context", "", "context of the kubeconfig (default: its current one)"),
    _Option("--leader-elect", "true", "true: take part in leader election; false: the only replica there is"),
    _Option("--lease-namespace", "", "namespace of the election's Lease (default: POD_NAMESPACE, else default)"),
    _Option("--lease-name", "asrpool-operator", "name of the election's Lease"),
    _Option("--identity", "", "this replica's name in the Lease (default: POD_NAME, else the host name)"),
    _Option("--host", "0.0.0.0", "address of /healthz, /readyz and /metrics"),  # noqa: S104  # a pod's probes come from outside
    _Option("--port", "8081", "port of /healthz, /readyz and /metrics"),
    _Option("--interval-seconds", "1", "how often each pool is looked at"),
    _Option("--worker-image", "asrpool/worker:latest", "image of pools that name none"),
    _Option("--gateway-image", "asrpool/gateway:latest", "gateway image of pools that name none"),
    _Option("--image-pull-policy", "IfNotPresent", "pull policy of pools that name none"),
    _Option("--cluster-domain", "cluster.local", "the cluster's DNS domain"),
    _Option("--log-level", "info", "debug, info, warning or error"),
    _Option("--log-format", "json", "json (one object a line) or text"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `asrpool-operator run`."""
    for option in _OPTIONS:
        default = f" [{option.default}]" if option.default else ""
        parser.add_argument(
            option.flag,
            action="append" if option.many else "store",
            default=None,
            metavar="X",
            help=f"{option.help}{default} (env {option.env})",
        )


def settings_from(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """Flags over environment over defaults. Raises one `SettingsError` that names every wrong setting."""
    raw = {option.name: _text_of(option, flags, environ) for option in _OPTIONS}
    wrong: list[str] = []
    namespaces = tuple(name for name in re.split(r"[,\s]+", raw["namespace"]) if name)
    wrong += [f"--namespace: {name!r} is not a namespace name" for name in namespaces if not _DNS_LABEL.match(name)]
    port = _number("--port", raw["port"], 1, 65535, wrong)
    interval_seconds = _number("--interval-seconds", raw["interval_seconds"], 0.2, 60, wrong)
    leader_elect = _choice("--leader-elect", raw["leader_elect"].lower(), ("true", "false"), wrong)
    level = _choice("--log-level", raw["log_level"].lower(), _LEVELS, wrong)
    form = _choice("--log-format", raw["log_format"].lower(), ("json", "text"), wrong)
    pull = _choice("--image-pull-policy", raw["image_pull_policy"], ("Always", "IfNotPresent", "Never"), wrong)
    for flag in ("--lease-name", "--worker-image", "--gateway-image", "--cluster-domain"):
        if not raw[flag[2:].replace("-", "_")].strip():
            wrong.append(f"{flag}: must not be empty")
    if wrong:
        raise SettingsError("; ".join(wrong))
    return Settings(
        namespaces=namespaces,
        kubeconfig=raw["kubeconfig"] or None,
        context=raw["context"] or None,
        leader_elect=leader_elect == "true",
        lease_namespace=raw["lease_namespace"] or environ.get("POD_NAMESPACE", "") or "default",
        lease_name=raw["lease_name"],
        identity=raw["identity"] or environ.get("POD_NAME", "") or socket.gethostname(),
        host=raw["host"],
        port=int(port),
        interval_seconds=interval_seconds,
        worker_image=raw["worker_image"],
        gateway_image=raw["gateway_image"],
        image_pull_policy=pull,
        cluster_domain=raw["cluster_domain"],
        log_level=level,
        log_json=form == "json",
    )


def _text_of(option: _Option, flags: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    given = flags.get(option.name)
    if given is None:
        return environ.get(option.env, option.default)
    return ",".join(given) if option.many else str(given)


def _number(flag: str, text: str, low: float, high: float, wrong: list[str]) -> float:
    try:
        value = float(text)
    except ValueError:
        wrong.append(f"{flag}: {text!r} is not a number")
        return low
    if not low <= value <= high:
        wrong.append(f"{flag}: {text} is not between {low:g} and {high:g}")
    return value


def _choice(flag: str, text: str, choices: Sequence[str], wrong: list[str]) -> str:
    if text not in choices:
        wrong.append(f"{flag}: {text!r} is none of {', '.join(choices)}")
    return text
