"""The rendered objects: golden files for their whole text, and the promises that a diff of a golden file must not break."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from asrpool_operator.api import ASRPool, parse
from asrpool_operator.render import Defaults, Manifest, haproxy, render

GOLDEN = Path(__file__).parent / "golden"
DEFAULTS = Defaults(worker_image="registry.example/worker:1", gateway_image="registry.example/gateway:1")

SPECS: dict[str, dict[str, Any]] = {
    "defaults": {"models": {"online": "paraformer-zh-streaming"}},
    "everything": {
        "models": {
            "online": "/models/online",
            "offline": "/models/offline",
            "vad": "/models/vad",
            "punc": "ct-punc",
            "speaker": "cam++",
            "itn": True,
        },
        "worker": {
            "image": "registry.example/worker:gpu",
            "imagePullPolicy": "Always",
            "imagePullSecrets": [{"name": "registry"}],
            "engine": "torch",
            "dtype": "float16",
            "resources": {"limits": {"nvidia.com/gpu": 1, "cpu": "3500m", "memory": "12Gi"}, "requests": {"cpu": 2}},
            "nodeSelector": {"gpu": "l4"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "modelCache": {"persistentVolumeClaim": "models"},
            "batching": {"maxBatch": 32},
            "podTemplate": {
                "metadata": {"annotations": {"team": "speech"}, "labels": {"asrpool.dev/pool": "another"}},
                "spec": {
                    "priorityClassName": "live",
                    "containers": [
                        {"name": "worker", "env": [{"name": "OMP_NUM_THREADS", "value": "1"}]},
                        {"name": "sidecar", "image": "registry.example/sidecar:1"},
                    ],
                },
            },
        },
        "sessions": {"perPod": 20, "maxSeconds": 7200, "idleSeconds": 30, "resumeSeconds": 45},
        "scaling": {"minReplicas": 0, "maxReplicas": 50, "drainSeconds": 3600},
        "gateway": {
            "replicas": 3,
            "stickyOn": {"query": "device"},
            "queueSeconds": 20,
            "maxQueued": 500,
            "balance": "spread",
            "serviceType": "LoadBalancer",
            "resources": {"requests": {"cpu": "1"}},
            "nodeSelector": {"role": "edge"},
        },
        "ingress": {
            "className": "nginx",
            "host": "asr.example.com",
            "tls": {"secretName": "asr-tls"},
            "annotations": {"nginx.ingress.kubernetes.io/proxy-read-timeout": "900"},
        },
    },
    "http-route": {
        "models": {"offline": "/models/offline"},
        "worker": {"modelCache": {"emptyDir": {"sizeLimit": "5Gi"}}},
        "ingress": {"host": "asr.example.com", "gatewayRef": {"name": "edge", "namespace": "infra"}},
    },
}


def pool(spec: dict[str, Any]) -> ASRPool:
    return parse(
        {
            "apiVersion": "asrpool.dev/v1alpha1",
            "kind": "ASRPool",
            "metadata": {"name": "mandarin", "namespace": "speech", "uid": "0d9b2b4e-1f0e-4c5e-9a55-2c1c7e4c0b11"},
            "spec": spec,
        }
    )


def rendered(spec: dict[str, Any]) -> dict[tuple[str, str], Manifest]:
    return {(made["kind"], made["metadata"]["name"]): made for made in render(pool(spec), DEFAULTS)}


class _Literal(yaml.SafeDumper):
    """Writes multi-line text as it reads."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Literal.add_representer(str, _text)


@pytest.mark.parametrize("name", SPECS)
def test_objects_are_as_in_the_golden_file(name: str, request: pytest.FixtureRequest) -> None:
    """Regenerate with `make golden`, and read the diff."""
    documents = render(pool(SPECS[name]), DEFAULTS)
    text = yaml.dump_all(documents, Dumper=_Literal, sort_keys=False, width=1000)
    golden = GOLDEN / f"{name}.yaml"
    if request.config.getoption("--update-golden"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SPECS)
def test_every_object_goes_with_its_pool(name: str) -> None:
    for made in render(pool(SPECS[name]), DEFAULTS):
        (owner,) = made["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("ASRPool", "mandarin", True)
        assert made["metadata"]["namespace"] == "speech"
        assert made["metadata"]["labels"]["asrpool.dev/pool"] == "mandarin"


def test_enrolled_voices_are_mounted_by_the_pod_template() -> None:
    """As the README shows it: our volumes, mounts and variables stay beside the user's."""
    voices = {"name": "voices", "persistentVolumeClaim": {"claimName": "voices", "readOnly": True}}
    mount = {"name": "voices", "mountPath": "/voices", "readOnly": True}
    variable = {"name": "ASRPOOL_SPEAKERS", "value": "/voices"}
    container = {"name": "worker", "env": [variable], "volumeMounts": [mount]}
    spec = {
        "models": {"offline": "/models/offline", "speaker": "/models/speaker"},
        "worker": {"podTemplate": {"spec": {"volumes": [voices], "containers": [container]}}},
    }
    pod = rendered(spec)["Deployment", "mandarin-worker"]["spec"]["template"]["spec"]
    (made,) = pod["containers"]
    assert "--speaker=/models/speaker" in made["args"]
    assert not any(argument.startswith("--speakers") for argument in made["args"]), "a flag would win over the variable"
    assert {item["name"] for item in pod["volumes"]} == {"tmp", "admin-token", "voices"}
    assert [item["mountPath"] for item in made["volumeMounts"]][-1] == "/voices"
    assert {item["name"] for item in made["env"]} == {"POD_NAME", "ASRPOOL_SPEAKERS"}


def test_an_edit_never_touches_the_number_of_workers() -> None:
    """`spec.replicas` belongs to the scaling alone."""
    for spec in SPECS.values():
        assert "replicas" not in rendered(spec)["Deployment", "mandarin-worker"]["spec"]


def test_no_edit_changes_a_selector() -> None:
    """Selectors are immutable: one that followed the spec would make the edit fail, and the pool stay as it was."""

    def selectors(spec: dict[str, Any]) -> list[Any]:
        made = rendered(spec)
        return [
            made[key]["spec"]["selector"]
            for key in sorted(made)
            if key[0] in {"Deployment", "StatefulSet", "Service", "PodDisruptionBudget"}
        ]

    first, *others = (selectors(spec) for spec in SPECS.values())
    assert all(other == first for other in others)


@pytest.mark.parametrize("name", SPECS)
def test_pods_carry_the_labels_that_select_them(name: str) -> None:
    """Also where the user's pod template says otherwise."""
    for kind, object_name in (("Deployment", "mandarin-worker"), ("StatefulSet", "mandarin-gateway")):
        spec = rendered(SPECS[name])[kind, object_name]["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("name", SPECS)
def test_pods_fit_the_restricted_security_standard(name: str) -> None:
    for kind, object_name in (("Deployment", "mandarin-worker"), ("StatefulSet", "mandarin-gateway")):
        pod = rendered(SPECS[name])[kind, object_name]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        own = next(container for container in pod["containers"] if container["name"] in {"worker", "gateway"})
        assert own["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_worker_that_must_go_has_drain_seconds_for_its_streams() -> None:
    """The worker's own limit comes before the kubelet's, so that it can tell its last clients why."""
    spec = rendered(SPECS["everything"])["Deployment", "mandarin-worker"]["spec"]
    pod = spec["template"]["spec"]
    assert "--drain-seconds=3600" in pod["containers"][0]["args"]
    assert 3600 < pod["terminationGracePeriodSeconds"] <= 3660
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_no_edit_of_the_gateways_configuration_restarts_a_gateway() -> None:
    """A restart would cut its streams: what can be reloaded is not part of the pod."""
    before = rendered(SPECS["defaults"])["StatefulSet", "mandarin-gateway"]
    edited = SPECS["defaults"] | {
        "gateway": {"queueSeconds": 99, "maxQueued": 9, "balance": "spread", "stickyOn": {"query": "id"}},
        "sessions": {"perPod": 3, "resumeSeconds": 5, "idleSeconds": 7},
        "scaling": {"maxReplicas": 500},
    }
    assert rendered(edited)["StatefulSet", "mandarin-gateway"] == before
    more = rendered(SPECS["defaults"] | {"gateway": {"replicas": 3}})["StatefulSet", "mandarin-gateway"]
    assert more["spec"]["template"] == before["spec"]["template"]


@pytest.mark.parametrize(("replicas", "strategy", "evictable"), [(1, "OnDelete", 0), (2, "RollingUpdate", 1)])
def test_the_only_gateway_is_neither_rolled_nor_evicted(replicas: int, strategy: str, evictable: int) -> None:
    made = rendered(SPECS["defaults"] | {"gateway": {"replicas": replicas}})
    assert made["StatefulSet", "mandarin-gateway"]["spec"]["updateStrategy"] == {"type": strategy}
    assert made["PodDisruptionBudget", "mandarin-gateway"]["spec"]["maxUnavailable"] == evictable


@pytest.mark.parametrize(
    ("worker", "device"),
    [
        pytest.param({}, "cpu", id="onnx on a CPU pod"),
        pytest.param({"engine": "torch"}, "cpu", id="torch without a GPU"),
        pytest.param({"engine": "torch", "resources": {"limits": {"nvidia.com/gpu": 1}}}, "cuda", id="torch with one"),
        pytest.param({"resources": {"limits": {"nvidia.com/gpu": 1}}}, "cpu", id="onnx uses none"),
        pytest.param({"engine": "torch", "device": "cuda:1"}, "cuda:1", id="as it was asked for"),
    ],
)
def test_auto_takes_the_gpu_where_there_is_one(worker: dict[str, Any], device: str) -> None:
    made = rendered(SPECS["defaults"] | {"worker": worker})["Deployment", "mandarin-worker"]
    assert f"--device={device}" in made["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    ("cpu", "threads"), [("500m", 1), ("1", 1), (2, 2), ("3500m", 3), ("2.5", 2), (None, None), ("1e1", 10)]
)
def test_threads_follow_the_cpu_limit(cpu: str | int | None, threads: int | None) -> None:
    resources = {} if cpu is None else {"limits": {"cpu": cpu}}
    made = rendered(SPECS["defaults"] | {"worker": {"resources": resources}})["Deployment", "mandarin-worker"]
    arguments = made["spec"]["template"]["spec"]["containers"][0]["args"]
    assert [argument for argument in arguments if argument.startswith("--threads")] == (
        [] if threads is None else [f"--threads={threads}"]
    )


def test_a_users_ingress_annotation_wins_over_ours() -> None:
    made = rendered(SPECS["everything"])["Ingress", "mandarin-gateway"]
    assert made["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "900"
    assert made["spec"]["rules"][0]["host"] == "asr.example.com"


def test_rendering_is_deterministic_and_leaves_the_pool_as_it_is() -> None:
    made = pool(SPECS["everything"])
    before = made.model_dump_json()
    assert render(made, DEFAULTS) == render(made, DEFAULTS)
    assert made.model_dump_json() == before


@pytest.mark.parametrize(
    ("max_replicas", "slots"),
    [(1, 128), (16, 128), (50, 512), (1000, 8192), (4096, 8192), (5000, 16384)],
    ids=[
        "one pod",
        "few",
        "fifty",
        "a thousand",
        "as far as HAProxy starts quickly",
        "never less than two generations",
    ],
)
def test_a_gateway_knows_the_pods_of_several_generations(max_replicas: int, slots: int) -> None:
    assert haproxy.server_slots(pool({**SPECS["defaults"], "scaling": {"maxReplicas": max_replicas}})) == slots


def test_no_reload_ends_a_stream_that_its_worker_would_not_end() -> None:
    """Also where a pod that stops has only ten minutes."""
    spec = {**SPECS["defaults"], "sessions": {"maxSeconds": 7200}, "scaling": {"drainSeconds": 600}}
    (seconds,) = re.findall(r"hard-stop-after ([0-9]+)s", haproxy.haproxy_cfg(pool(spec), "cluster.local"))
    assert int(seconds) > 7200
