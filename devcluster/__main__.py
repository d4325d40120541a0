"""The command line of the development cluster: `python -m devcluster up | down | status | …`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

from devcluster import lifecycle
from devcluster.binaries import ensure_binaries
from devcluster.builders import build_images, choose_builder
from devcluster.clusters import EmbeddedCluster
from devcluster.errors import DevclusterError
from devcluster.images import DEMO_IMAGES, IMAGES
from devcluster.node_process import NodeProcess
from devcluster.packages import CLUSTER_PACKAGES, TEST_PACKAGES, ensure_packages
from devcluster.settings import DEFAULT_NETWORK, DEFAULT_STATE, Settings
from devcluster.target import Cluster, find_cluster


def _say(text: str) -> None:
    print(text, flush=True)


def _tell(text: str) -> None:
    """Progress beside an answer that is meant to be captured."""
    print(text, file=sys.stderr, flush=True)


def _resource(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    if not count.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=COUNT, as in nvidia.com/gpu=4")
    return name, int(count)


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    top = argparse.ArgumentParser(prog="devcluster", description="A real one-node Kubernetes without Docker.")
    top.add_argument("--state", type=Path, default=None, help=f"where the cluster lives (default {DEFAULT_STATE})")
    top.add_argument("--name", default=None, help="name of the cluster (default asrpool)")
    top.add_argument("--context", help="use this context of your own kubeconfig instead")
    commands = top.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring the cluster up, or repair it")
    up.add_argument(
        "--network", type=IPv4Network, help=f"private /16 for pods and services (default {DEFAULT_NETWORK})"
    )
    up.add_argument("--dns-ttl", type=int, metavar="SECONDS", help="TTL of the cluster's DNS answers (default 5)")
    up.add_argument(
        "--extended-resource",
        type=_resource,
        action="append",
        metavar="NAME=COUNT",
        help="pretend the node has these, e.g. nvidia.com/gpu=4",
    )
    commands.add_parser("down", help="end the cluster and remove all it put on this machine")
    commands.add_parser("status", help="state of each component").add_argument("--json", action="store_true")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    programs = commands.add_parser("bin", help="print the folder with kubectl and helm, building what is named (all)")
    programs.add_argument("program", nargs="*")
    built = commands.add_parser("images", help="build the project's images, and load them where the cluster is up")
    built.add_argument("image", nargs="*", help=f"some of {', '.join(IMAGES)} (default: {' '.join(DEMO_IMAGES)})")
    built.add_argument("--json", action="store_true", help="print name → reference")
    commands.add_parser("prepare", help="install, build and fetch all that the tests need and that takes minutes")
    commands.add_parser("packages", help="install the Debian packages that tests and models need")
    for name, text in (("stop", "take one component down"), ("start", "start a stopped component")):
        commands.add_parser(name, help=text).add_argument("component")
    execute = commands.add_parser("exec", help="run a command inside the node")
    execute.add_argument("argv", nargs=argparse.REMAINDER)
    return top


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Options given win over what the state folder remembers, and that over the defaults."""
    name: str = arguments.name or "asrpool"
    default = DEFAULT_STATE if name == "asrpool" else DEFAULT_STATE.with_name(f"{DEFAULT_STATE.name}-{name}")
    state: Path = (arguments.state or default).absolute()
    saved = Settings.load(state) or Settings(name=name, state=state)
    resources = dict(getattr(arguments, "extended_resource", None) or saved.extended_resources)
    ttl = getattr(arguments, "dns_ttl", None)
    return Settings(
        name=arguments.name or saved.name,
        state=state,
        network=getattr(arguments, "network", None) or saved.network,
        dns_ttl_seconds=saved.dns_ttl_seconds if ttl is None else ttl,
        extended_resources=resources,
    )


def _cluster(arguments: argparse.Namespace, settings: Settings) -> Cluster:
    """The embedded cluster where one of its own options is given, else whichever `target` finds."""
    own = ("state", "name", "network", "dns_ttl", "extended_resource")
    if any(getattr(arguments, option, None) is not None for option in own):
        return EmbeddedCluster(settings, _tell if arguments.command == "images" else _say)
    return find_cluster(_tell if arguments.command == "images" else _say, context=arguments.context, settings=settings)


def _status(cluster: Cluster, as_json: bool) -> int:
    if not isinstance(cluster, EmbeddedCluster):
        _say(cluster.kubectl("get", "nodes", *(("-o", "json") if as_json else ("-o", "wide"))).rstrip())
        return 0
    document = lifecycle.status_document(cluster.settings)
    if as_json:
        _say(json.dumps(document, indent=1))
    else:
        for part in document["components"]:
            _say(f"{part['name']:<24} {part['state']:<10} {part['detail']}")
    return 0 if all(part["state"] == "healthy" for part in document["components"]) else 1


def _exec(settings: Settings, argv: Sequence[str]) -> int:
    node = NodeProcess.find(settings)
    if node is None or not argv:
        _tell("Nothing to run, or the cluster is not up: `devcluster exec -- COMMAND …` needs both.")
        return 1
    command = node.command([word for index, word in enumerate(argv) if index > 0 or word != "--"])
    return subprocess.run(command, check=False).returncode


def _images(cluster: Cluster, names: Sequence[str], as_json: bool) -> None:
    if isinstance(cluster, EmbeddedCluster) and NodeProcess.find(cluster.settings) is None:
        references = build_images(names, choose_builder(_tell), _tell)
    else:
        references = cluster.images(names)
    if as_json:
        _say(json.dumps(references, indent=1))
    else:
        for name, reference in references.items():
            _say(f"{name:<12} {reference}")


def _prepare(cluster: Cluster) -> None:
    """What takes minutes on a new machine is made before any test's own time runs, and is seen being made."""
    ensure_packages(TEST_PACKAGES, _say)
    if isinstance(cluster, EmbeddedCluster):
        ensure_packages(CLUSTER_PACKAGES, _say)
        ensure_binaries(_say)
    build_images(DEMO_IMAGES, choose_builder(_say), _say)


def _down(cluster: Cluster) -> None:
    if not cluster.down():
        _say(f"{cluster.name} was named by you and is left as it is")


def run(arguments: argparse.Namespace) -> int:
    """Do what one command line says; the exit code."""
    settings = settings_from(arguments)
    match arguments.command:
        case "packages":
            ensure_packages(TEST_PACKAGES, _say)
        case "prepare":
            _prepare(_cluster(arguments, settings))
        case "up":
            began = time.monotonic()
            cluster = _cluster(arguments, settings)
            cluster.up()
            _say(f"up after {time.monotonic() - began:.1f} s")
            _say(f"export KUBECONFIG={cluster.kubeconfig_path}")
            _say(f"export PATH={ensure_binaries(_tell, ('kubectl', 'helm'))}:$PATH")
        case "down":
            _down(_cluster(arguments, settings))
        case "status":
            return _status(_cluster(arguments, settings), arguments.json)
        case "kubeconfig":
            _say(str(_cluster(arguments, settings).kubeconfig_path))
        case "bin":
            _say(str(ensure_binaries(_tell, arguments.program)))
        case "images":
            _images(_cluster(arguments, settings), arguments.image or DEMO_IMAGES, arguments.json)
        case "stop":
            lifecycle.stop_component(settings, arguments.component)
        case "start":
            lifecycle.start_component(settings, arguments.component)
        case "exec":
            return _exec(settings, arguments.argv)
    return 0


def main() -> int:
    """Entry point: a failure is one sentence and what to do next, and exit code 1."""
    try:
        return run(parser().parse_args())
    except DevclusterError as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
