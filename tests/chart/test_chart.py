"""The Helm chart: what it installs, what it lets the operator do, and which values it refuses."""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from asrpool_operator.cluster.resources import resource_of
from asrpool_operator.cluster.watch import WATCHED
from asrpool_operator.settings import Settings, add_arguments, settings_from

PROJECT = Path(__file__).parents[2]
CHART = PROJECT / "charts" / "asrpool"
GOLDEN = Path(__file__).parent / "golden"

Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def helm() -> str:
    """The helm that the devcluster builds; none is expected on the machine."""
    command = [sys.executable, "-m", "devcluster", "bin", "helm"]
    folder = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.strip()
    return str(Path(folder.splitlines()[-1]) / "helm")


def run(helm: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False)


def template(helm: str, *values: str, release: str = "asrpool") -> str:
    arguments = ["template", release, str(CHART), "--namespace", "asr-system", "--kube-version", "1.33.0"]
    for value in values:
        arguments += ["--set-json", value]
    done = run(helm, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(text: str) -> dict[tuple[str, str], Manifest]:
    found = [document for document in yaml.safe_load_all(text) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


def test_helm_lint_finds_nothing(helm: str) -> None:
    done = run(helm, "lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_crd_is_the_generated_one() -> None:
    """`make crd` writes both."""
    assert (CHART / "crds" / "asrpools.yaml").read_text() == (PROJECT / "crds" / "asrpools.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("defaults", ()),
        ("one-namespace", ('watchNamespaces=["speech"]', "operator.replicas=1", "metrics.serviceMonitor.enabled=true")),
    ],
)
def test_objects_are_as_in_the_golden_file(
    helm: str, name: str, values: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    text = template(helm, *values)
    golden = GOLDEN / f"{name}.yaml"
    if request.config.getoption("--update-golden"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def granted(role: Manifest) -> set[tuple[str, str]]:
    return {
        (f"{resource}.{group}" if group else resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_operator_may_do_what_it_does_and_nothing_else(helm: str) -> None:
    """No wildcard, no listing of secrets, no right over nodes, roles or namespaces."""
    rights = granted(objects(template(helm))["ClusterRole", "asrpool-operator"])
    by_resource: dict[str, set[str]] = {}
    for resource, verb in rights:
        by_resource.setdefault(resource, set()).add(verb)
    watches, applies = {"list", "watch"}, {"create", "patch"}
    assert by_resource == {
        # Looked at again before anything is made for a pool; followed by kopf.
        "asrpools.asrpool.dev": {"get", *watches},
        "asrpools/status.asrpool.dev": {"patch"},
        "asrpools/finalizers.asrpool.dev": {"update"},
        "pods": {"patch", *watches},
        "secrets": {"get", "create"},
        "configmaps": watches | applies,
        "services": watches | applies,
        "serviceaccounts": watches | applies,
        "deployments.apps": {"get"} | watches | applies,
        "deployments/scale.apps": {"patch"},
        "statefulsets.apps": watches | applies,
        "poddisruptionbudgets.policy": watches | applies,
        "ingresses.networking.k8s.io": {"delete"} | watches | applies,
        "httproutes.gateway.networking.k8s.io": {"get", "delete"} | applies,
        "events.events.k8s.io": {"create"},
    }
    for watched in WATCHED:
        assert watches <= by_resource[str(resource_of(watched.kind))]


def test_with_named_namespaces_nothing_is_granted_cluster_wide(helm: str) -> None:
    found = objects(template(helm, 'watchNamespaces=["speech"]'))
    assert ("ClusterRole", "asrpool-operator") not in found
    assert found["Role", "asrpool-operator"]["metadata"]["namespace"] == "speech"
    assert not [key for key in found if key[0] == "ClusterRoleBinding"]


@pytest.mark.parametrize(
    "values", [(), ('watchNamespaces=["a","b"]', 'operator.log={"level":"debug","format":"text"}')]
)
def test_the_operator_understands_its_flags(helm: str, values: tuple[str, ...]) -> None:
    """The chart and the program agree on each flag."""
    pod = objects(template(helm, *values))["Deployment", "asrpool-operator"]["spec"]["template"]["spec"]
    command, *flags = pod["containers"][0]["args"]
    assert command == "run"
    settings = read(flags)
    assert settings.worker_image == "asrpool/worker:0.1.0"
    assert settings.gateway_image == "asrpool/gateway:0.1.0"
    assert settings.lease_namespace == "asr-system"
    assert settings.namespaces == (("a", "b") if values else ())


def read(flags: list[str]) -> Settings:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return settings_from(vars(parser.parse_args(flags)), environ={})


def test_the_lease_it_may_write_is_the_one_it_asks_for(helm: str) -> None:
    found = objects(template(helm, release="prod"))
    (write,) = [rule for rule in found["Role", "prod-asrpool-operator-lease"]["rules"] if "update" in rule["verbs"]]
    args = found["Deployment", "prod-asrpool-operator"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--lease-name={write['resourceNames'][0]}" in args


def test_the_test_pod_is_not_behind_the_operators_service_and_its_program_parses(helm: str) -> None:
    found = objects(template(helm))
    pod = found["Pod", "asrpool-operator-test"]
    selector = found["Service", "asrpool-operator"]["spec"]["selector"]
    assert not selector.items() <= pod["metadata"]["labels"].items()
    ast.parse(pod["spec"]["containers"][0]["args"][0])


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ('operator.replicas="two"', "/operator/replicas"),
        ("operator.replicas=-1", "/operator/replicas"),
        ('operator.image={"repository":""}', "/operator/image/repository"),
        ('operator.image={"repository":"a:b"}', "/operator/image/repository"),
        ('worker.image.tag="a b"', "/worker/image/tag"),
        ('imagePullPolicy="Sometimes"', "/imagePullPolicy"),
        ('watchNamespaces=["Not_a_name"]', "/watchNamespaces/0"),
        ('watchNamespaces="speech"', "/watchNamespaces"),
        ("operator.intervalSeconds=0", "/operator/intervalSeconds"),
        ('operator.log={"level":"loud"}', "/operator/log/level"),
        ('clusterDomain="bad domain"', "/clusterDomain"),
        ("gatway=1", "gatway"),
        ('operator.tolerations={"key":"x"}', "/operator/tolerations"),
    ],
)
def test_a_value_that_is_wrong_is_named(helm: str, value: str, named: str) -> None:
    done = run(helm, "template", "asrpool", str(CHART), "--kube-version", "1.33.0", "--set-json", value)
    assert done.returncode != 0
    assert named in done.stderr.replace(".", "/") or named in done.stderr


def test_every_value_is_in_the_schema() -> None:
    """A value without a schema would take anything."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(values) <= set(schema["properties"])
    assert set(values["operator"]) == set(schema["properties"]["operator"]["properties"])
