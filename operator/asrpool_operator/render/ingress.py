"""How streams reach the gateway from outside the cluster: an Ingress, or an HTTPRoute on the user's own Gateway."""

from __future__ import annotations

from typing import Any, Final

from asrpool_operator.api import ASRPool, Ingress
from asrpool_operator.api.gateway import GatewayRef
from asrpool_operator.render import names
from asrpool_operator.render.objects import Manifest, manifest

COMPONENT: Final = "gateway"


def routes(pool: ASRPool) -> list[Manifest]:
    """None, or the one object that the pool asks for."""
    asked = pool.spec.ingress
    if asked is None:
        return []
    if asked.gateway_ref is None:
        return [_ingress(pool, asked)]
    return [_http_route(pool, asked, asked.gateway_ref)]


def _ingress(pool: ASRPool, asked: Ingress) -> Manifest:
    backend = {"service": {"name": names.gateway(pool.metadata.name), "port": {"name": "ws"}}}
    rule = {"host": asked.host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    spec: dict[str, Any] = {"rules": [rule]}
    if asked.class_name is not None:
        spec["ingressClassName"] = asked.class_name
    if asked.tls is not None:
        spec["tls"] = [{"hosts": [asked.host], "secretName": asked.tls.secret_name}]
    made = manifest(pool, "networking.k8s.io/v1", "Ingress", names.gateway(pool.metadata.name), COMPONENT, spec=spec)
    made["metadata"]["annotations"] = _long_streams(pool) | asked.annotations
    return made


def _long_streams(pool: ASRPool) -> dict[str, str]:
    """Widespread controllers end a WebSocket after a minute of silence: here the worker decides how long that may be."""
    seconds = pool.spec.sessions.idle_seconds + 60
    return {
        "nginx.ingress.kubernetes.io/proxy-read-timeout": str(seconds),
        "nginx.ingress.kubernetes.io/proxy-send-timeout": str(seconds),
        "haproxy.org/timeout-tunnel": f"{seconds}s",
        "haproxy-ingress.github.io/timeout-tunnel": f"{seconds}s",
    }


def _http_route(pool: ASRPool, asked: Ingress, gateway: GatewayRef) -> Manifest:
    parent = gateway.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec = {
        "parentRefs": [parent],
        "hostnames": [asked.host],
        "rules": [{"backendRefs": [{"name": names.gateway(pool.metadata.name), "port": 80}]}],
    }
    name = names.gateway(pool.metadata.name)
    made = manifest(pool, "gateway.networking.k8s.io/v1", "HTTPRoute", name, COMPONENT, spec=spec)
    if asked.annotations:
        made["metadata"]["annotations"] = dict(asked.annotations)
    return made
