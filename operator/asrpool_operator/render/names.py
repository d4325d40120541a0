"""Names, labels and ports of a pool's objects: the contract of ARCHITECTURE.md, in one place."""

from __future__ import annotations

from typing import Final

POOL_LABEL: Final = "asrpool.dev/pool"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"

WS_PORT: Final = 10095
ADMIN_PORT: Final = 10096
AGENT_PORT: Final = 10097
GATEWAY_WS_PORT: Final = 8080
GATEWAY_ADMIN_PORT: Final = 8404
GATEWAY_PEER_PORT: Final = 10000


def worker(pool: str) -> str:
    """Deployment, headless Service, ServiceAccount and PodDisruptionBudget of the workers."""
    return f"{pool}-worker"


def gateway(pool: str) -> str:
    """StatefulSet, ConfigMap and Service of the gateway."""
    return f"{pool}-gateway"


def gateway_admin(pool: str) -> str:
    """Headless Service that gives each gateway pod a DNS name."""
    return f"{pool}-gateway-admin"


def admin_secret(pool: str) -> str:
    """Secret with the workers' admin token (key `token`); the operator makes it once."""
    return f"{pool}-admin"


def labels(pool: str, component: str) -> dict[str, str]:
    """Labels of every object of one component. The selector is a part of them that can never change."""
    return {
        "app.kubernetes.io/name": "asrpool",
        "app.kubernetes.io/instance": pool,
        "app.kubernetes.io/managed-by": "asrpool-operator",
        **selector(pool, component),
    }


def selector(pool: str, component: str) -> dict[str, str]:
    """What selects the pods of one component. Selectors are immutable: never add to this."""
    return {POOL_LABEL: pool, COMPONENT_LABEL: component}
