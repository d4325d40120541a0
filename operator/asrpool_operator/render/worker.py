"""The worker pods and what belongs to them.

A pod that has to go (a new image, a node drain, a scale-in) gets SIGTERM and then `drainSeconds` to finish its
streams; until then it must stay reachable for the sessions that come back to it. Hence a headless Service that
publishes pods whether they are ready or not: HAProxy's own checks say who takes newcomers.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from asrpool_operator.api import ASRPool, Engine
from asrpool_operator.api import Worker as WorkerSpec
from asrpool_operator.render import names
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

COMPONENT: Final = "worker"
CONTAINER: Final = "worker"
TOKEN_DIRECTORY: Final = "/etc/asrpool-admin"  # noqa: S105  # where a Secret is mounted, not a secret
CACHE_DIRECTORY: Final = "/var/cache/asrpool"
LONGEST_START_SECONDS: Final = 1800
"""A first start may download gigabytes of models."""
START_POLL_SECONDS: Final = 1


def service_account(pool: ASRPool) -> Manifest:
    """An identity of its own that may do nothing: the worker asks no API server."""
    name = names.worker(pool.metadata.name)
    return manifest(pool, "v1", "ServiceAccount", name, COMPONENT, automountServiceAccountToken=False)


def service(pool: ASRPool) -> Manifest:
    """Headless: the gateway finds each pod by DNS SRV."""
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": names.selector(pool.metadata.name, COMPONENT),
        "ports": [
            {"name": "ws", "port": names.WS_PORT, "targetPort": "ws", "protocol": "TCP"},
            {"name": "agent", "port": names.AGENT_PORT, "targetPort": "agent", "protocol": "TCP"},
        ],
    }
    return manifest(pool, "v1", "Service", names.worker(pool.metadata.name), COMPONENT, spec=spec)


def disruption_budget(pool: ASRPool) -> Manifest:
    """One pod at a time. An evicted pod finishes its streams (its grace period is `drainSeconds`), so evictions cut
    nobody; a budget of none would block every node drain, also of pods without a stream.
    """
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": names.selector(pool.metadata.name, COMPONENT)},
    }
    name = names.worker(pool.metadata.name)
    return manifest(pool, "policy/v1", "PodDisruptionBudget", name, COMPONENT, spec=spec)


def deployment(pool: ASRPool, defaults: Defaults) -> Manifest:
    """The workers, without `replicas`."""
    selector = names.selector(pool.metadata.name, COMPONENT)
    template = pod_template(_template(pool, defaults), pool.spec.worker.pod_template, selector, "spec.worker")
    spec = {
        "selector": {"matchLabels": selector},
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 2 * LONGEST_START_SECONDS,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        "template": template,
    }
    return manifest(pool, "apps/v1", "Deployment", names.worker(pool.metadata.name), COMPONENT, spec=spec)


def arguments(pool: ASRPool) -> list[str]:
    """The command line of `asrpool-worker` for this pool."""
    spec, worker = pool.spec, pool.spec.worker
    models = spec.models
    values: list[tuple[str, object]] = [
        ("engine", worker.engine),
        ("device", _device(worker)),
        ("dtype", worker.dtype),
        ("online", models.online),
        ("offline", models.offline),
        ("vad", models.vad),
        ("punc", models.punc),
        ("speaker", models.speaker),
        ("itn", "true" if models.itn else None),
        ("threads", worker.threads or _cpu_limit(worker)),
        ("max-batch", min(worker.batching.max_batch, 1024)),
        ("capacity", spec.sessions.capacity),
        ("port", names.WS_PORT),
        ("admin-port", names.ADMIN_PORT),
        ("agent-port", names.AGENT_PORT),
        ("admin-token-file", f"{TOKEN_DIRECTORY}/token"),
        ("drain-seconds", spec.scaling.drain_seconds),
        ("resume-seconds", spec.sessions.resume_seconds),
        ("idle-seconds", spec.sessions.idle_seconds),
        ("max-seconds", spec.sessions.max_seconds),
        ("log-format", "json"),
    ]
    return ["serve", *(f"--{flag}={value}" for flag, value in values if value is not None)]


def _template(pool: ASRPool, defaults: Defaults) -> dict[str, Any]:
    worker = pool.spec.worker
    spec: dict[str, Any] = {
        "serviceAccountName": names.worker(pool.metadata.name),
        "automountServiceAccountToken": False,
        # Environment variables of Services could be taken for settings (ASRPOOL_PORT).
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": pool.spec.scaling.drain_seconds + STOP_MARGIN_SECONDS,
        "containers": [_container(pool, defaults)],
        "volumes": _volumes(pool),
    }
    if worker.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret.name} for secret in worker.image_pull_secrets]
    if worker.node_selector:
        spec["nodeSelector"] = dict(worker.node_selector)
    if worker.tolerations:
        spec["tolerations"] = [
            toleration.model_dump(mode="json", by_alias=True, exclude_none=True) for toleration in worker.tolerations
        ]
    metadata = {
        "labels": names.labels(pool.metadata.name, COMPONENT),
        "annotations": {"kubectl.kubernetes.io/default-container": CONTAINER},
    }
    return {"metadata": metadata, "spec": spec}


def _container(pool: ASRPool, defaults: Defaults) -> dict[str, Any]:
    worker = pool.spec.worker
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": worker.image or defaults.worker_image,
        "imagePullPolicy": str(worker.image_pull_policy or defaults.image_pull_policy),
        "args": arguments(pool),
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [
            {"name": "ws", "containerPort": names.WS_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": names.ADMIN_PORT, "protocol": "TCP"},
            {"name": "agent", "containerPort": names.AGENT_PORT, "protocol": "TCP"},
        ],
        "startupProbe": _probe("/startupz", START_POLL_SECONDS, LONGEST_START_SECONDS // START_POLL_SECONDS),
        "readinessProbe": _probe("/readyz", period_seconds=1, failures=5),
        # Only a process that is stuck for good is restarted: a restart cuts its streams.
        "livenessProbe": _probe("/healthz", period_seconds=10, failures=6),
        "securityContext": container_security(),
        "resources": resources_of(worker.resources),
        # The reason of a failed start (a model directory that is missing) reaches status and Events.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "admin-token", "mountPath": TOKEN_DIRECTORY, "readOnly": True},
        ],
    }
    if worker.model_cache is not None:
        container["volumeMounts"].append({"name": "model-cache", "mountPath": CACHE_DIRECTORY})
        container["env"] += [
            {"name": "MODELSCOPE_CACHE", "value": f"{CACHE_DIRECTORY}/modelscope"},
            {"name": "HF_HOME", "value": f"{CACHE_DIRECTORY}/huggingface"},
        ]
    return container


def _volumes(pool: ASRPool) -> list[dict[str, Any]]:
    token = {
        "secretName": names.admin_secret(pool.metadata.name),
        "defaultMode": 0o440,
        "items": [{"key": "token", "path": "token"}],
    }
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}, {"name": "admin-token", "secret": token}]
    cache = pool.spec.worker.model_cache
    if cache is None:
        return volumes
    source: dict[str, Any]
    if cache.persistent_volume_claim is not None:
        source = {"persistentVolumeClaim": {"claimName": cache.persistent_volume_claim}}
    elif cache.host_path is not None:
        source = {"hostPath": {"path": cache.host_path, "type": "DirectoryOrCreate"}}
    else:
        limit = cache.empty_dir.size_limit if cache.empty_dir else None
        source = {"emptyDir": {"sizeLimit": limit} if limit is not None else {}}
    return [*volumes, {"name": "model-cache", **source}]


def _probe(path: str, period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "ws", "scheme": "HTTP"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
        "successThreshold": 1,
    }


def _device(worker: WorkerSpec) -> str:
    """`auto`: the GPU where the container asks for one and the engine can use it."""
    if worker.device != "auto":
        return worker.device
    asks_for_gpu = any(name.endswith("/gpu") and str(amount) != "0" for name, amount in worker.resources.limits.items())
    return "cuda" if asks_for_gpu and worker.engine is Engine.TORCH else "cpu"


def _cpu_limit(worker: WorkerSpec) -> int | None:
    """Whole CPUs of the limit; without one the engine would count the node's cores, as it does where this is None."""
    text = str(worker.resources.limits.get("cpu", ""))
    try:
        cores = Decimal(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)
    except InvalidOperation:
        return None
    return max(1, math.floor(cores))
