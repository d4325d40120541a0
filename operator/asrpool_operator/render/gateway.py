"""The gateway pods (HAProxy) and the Services in front of them.

A gateway pod that goes takes its streams with it, at the latest when `drainSeconds` are over. So nothing that can be
changed in place is part of its pod template: the configuration comes from a ConfigMap that the image's entrypoint
watches and reloads without ending a stream.
"""

from __future__ import annotations

from typing import Any, Final

from asrpool_operator.api import ASRPool
from asrpool_operator.render import haproxy, names
from asrpool_operator.render.objects import (
    STOP_MARGIN_SECONDS,
    Defaults,
    Manifest,
    container_security,
    manifest,
    pod_security,
    resources_of,
)
from asrpool_operator.render.overlay import pod_template

COMPONENT: Final = "gateway"
CONTAINER: Final = "gateway"
DEFAULT_REQUESTS: Final = {"cpu": "100m", "memory": "96Mi"}


def config_map(pool: ASRPool, defaults: Defaults) -> Manifest:
    """What the entrypoint loads: configuration, Lua, and the names of all gateway pods."""
    name = names.gateway(pool.metadata.name)
    domain = f"{names.gateway_admin(pool.metadata.name)}.{pool.metadata.namespace}.svc.{defaults.cluster_domain}"
    pods = [f"{name}-{number}" for number in range(pool.spec.gateway.replicas)]
    data = {
        "haproxy.cfg": haproxy.haproxy_cfg(pool, defaults.cluster_domain),
        "gateway.lua": haproxy.gateway_lua(),
        "peers": "".join(f"{pod} {pod}.{domain}\n" for pod in pods),
    }
    return manifest(pool, "v1", "ConfigMap", name, COMPONENT, data=data)


def service(pool: ASRPool) -> Manifest:
    """Where streams come in."""
    spec = {
        "type": str(pool.spec.gateway.service_type),
        "selector": names.selector(pool.metadata.name, COMPONENT),
        "ports": [{"name": "ws", "port": 80, "targetPort": "ws", "protocol": "TCP", "appProtocol": "http"}],
    }
    return manifest(pool, "v1", "Service", names.gateway(pool.metadata.name), COMPONENT, spec=spec)


def admin_service(pool: ASRPool) -> Manifest:
    """Gives each gateway pod a DNS name: for its peers, and for whoever scrapes it."""
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": names.selector(pool.metadata.name, COMPONENT),
        "ports": [
            {"name": "admin", "port": names.GATEWAY_ADMIN_PORT, "targetPort": "admin", "protocol": "TCP"},
            {"name": "peers", "port": names.GATEWAY_PEER_PORT, "targetPort": "peers", "protocol": "TCP"},
        ],
    }
    return manifest(pool, "v1", "Service", names.gateway_admin(pool.metadata.name), COMPONENT, spec=spec)


def disruption_budget(pool: ASRPool) -> Manifest:
    """Never the only gateway: a pool with one gateway blocks the drain of its node until it has two."""
    spec = {
        "maxUnavailable": 0 if pool.spec.gateway.replicas == 1 else 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": names.selector(pool.metadata.name, COMPONENT)},
    }
    name = names.gateway(pool.metadata.name)
    return manifest(pool, "policy/v1", "PodDisruptionBudget", name, COMPONENT, spec=spec)


def stateful_set(pool: ASRPool, defaults: Defaults) -> Manifest:
    """The gateway pods.

    A single gateway is not rolled by itself (`OnDelete`): no newcomer could come in until its last stream has ended.
    With two or more, a rollout replaces one after the other, and each finishes its streams first.
    """
    selector = names.selector(pool.metadata.name, COMPONENT)
    template = pod_template(_template(pool, defaults), pool.spec.gateway.pod_template, selector, "spec.gateway")
    spec = {
        "replicas": pool.spec.gateway.replicas,
        "serviceName": names.gateway_admin(pool.metadata.name),
        "podManagementPolicy": "Parallel",
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": selector},
        "updateStrategy": {"type": "OnDelete" if pool.spec.gateway.replicas == 1 else "RollingUpdate"},
        "template": template,
    }
    return manifest(pool, "apps/v1", "StatefulSet", names.gateway(pool.metadata.name), COMPONENT, spec=spec)


def _template(pool: ASRPool, defaults: Defaults) -> dict[str, Any]:
    gateway = pool.spec.gateway
    # Gateways on different nodes, where there are several: one node must not take all of them.
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": names.selector(pool.metadata.name, COMPONENT)},
    }
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": pool.spec.scaling.drain_seconds + STOP_MARGIN_SECONDS,
        "topologySpreadConstraints": [spread],
        "containers": [_container(pool, defaults)],
        "volumes": [
            {"name": "config", "configMap": {"name": names.gateway(pool.metadata.name)}},
            {"name": "run", "emptyDir": {}},
        ],
    }
    if gateway.node_selector:
        spec["nodeSelector"] = dict(gateway.node_selector)
    if gateway.tolerations:
        spec["tolerations"] = [
            toleration.model_dump(mode="json", by_alias=True, exclude_none=True) for toleration in gateway.tolerations
        ]
    metadata = {
        "labels": names.labels(pool.metadata.name, COMPONENT),
        "annotations": {"kubectl.kubernetes.io/default-container": CONTAINER},
    }
    return {"metadata": metadata, "spec": spec}


def _container(pool: ASRPool, defaults: Defaults) -> dict[str, Any]:
    gateway = pool.spec.gateway
    return {
        "name": CONTAINER,
        "image": gateway.image or defaults.gateway_image,
        "imagePullPolicy": str(gateway.image_pull_policy or defaults.image_pull_policy),
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "ports": [
            {"name": "ws", "containerPort": names.GATEWAY_WS_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": names.GATEWAY_ADMIN_PORT, "protocol": "TCP"},
            {"name": "peers", "containerPort": names.GATEWAY_PEER_PORT, "protocol": "TCP"},
        ],
        "readinessProbe": _probe(period_seconds=2, failures=3),
        "livenessProbe": _probe(period_seconds=10, failures=6),
        "securityContext": container_security(),
        "resources": resources_of(gateway.resources) or {"requests": dict(DEFAULT_REQUESTS)},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/asrpool", "readOnly": True},
            {"name": "run", "mountPath": "/run/asrpool"},
        ],
    }


def _probe(period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/healthz", "port": "admin", "scheme": "HTTP"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
        "successThreshold": 1,
    }
