"""From an ASRPool to the Kubernetes objects that make it: pure, deterministic, golden-tested.

`render` gives every object of a pool but the admin Secret, which holds a random token and is made once (reconcile).
All objects are owned by the ASRPool, so that deleting it deletes them. Selectors hold only what can never change.

The worker Deployment carries no `spec.replicas`: it belongs to whoever scales. Only a Deployment that does not exist
yet must be made with a number (see `reconcile.manifests.with_replicas`).
"""

from __future__ import annotations

from asrpool_operator.api import ASRPool
from asrpool_operator.render import gateway, ingress, worker
from asrpool_operator.render.objects import Defaults, Manifest

__all__ = ["Defaults", "Manifest", "render"]


def render(pool: ASRPool, defaults: Defaults) -> list[Manifest]:
    """Every object of the pool, in the order to apply them: what others refer to comes first."""
    return [
        worker.service_account(pool),
        worker.service(pool),
        worker.deployment(pool, defaults),
        worker.disruption_budget(pool),
        gateway.config_map(pool, defaults),
        gateway.service(pool),
        gateway.admin_service(pool),
        gateway.stateful_set(pool, defaults),
        gateway.disruption_budget(pool),
        *ingress.routes(pool),
    ]
