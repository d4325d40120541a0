"""Where each kind the operator touches lives in the Kubernetes API.

A static table, not discovery: the operator must know exactly what it writes (its RBAC lists the same kinds), and a
look-up that needs the network would be one more thing to fail while the API server comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from asrpool_operator.errors import ClusterError


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind: its `apiVersion` and the plural its paths are built with."""

    kind: str
    api_version: str
    plural: str

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection (across namespaces where `namespace` is None) or of one object."""
        parts = ["apis" if self.group else "api", self.api_version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if subresource is not None:
            parts.append(subresource)
        return "/" + "/".join(parts)

    def __str__(self) -> str:
        """As RBAC writes it: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_RESOURCES = {
    resource.kind: resource
    for resource in (
        Resource("ASRPool", "asrpool.dev/v1alpha1", "asrpools"),
        Resource("ConfigMap", "v1", "configmaps"),
        Resource("Deployment", "apps/v1", "deployments"),
        Resource("Event", "events.k8s.io/v1", "events"),
        Resource("HTTPRoute", "gateway.networking.k8s.io/v1", "httproutes"),
        Resource("Ingress", "networking.k8s.io/v1", "ingresses"),
        Resource("Lease", "coordination.k8s.io/v1", "leases"),
        Resource("Pod", "v1", "pods"),
        Resource("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
        Resource("Secret", "v1", "secrets"),
        Resource("Service", "v1", "services"),
        Resource("ServiceAccount", "v1", "serviceaccounts"),
        Resource("StatefulSet", "apps/v1", "statefulsets"),
    )
}


def resource_of(kind: str) -> Resource:
    """The resource of a kind; a `ClusterError` for a kind the operator was never meant to write."""
    try:
        return _RESOURCES[kind]
    except KeyError:
        raise ClusterError(f"kind {kind!r} is not one of those the operator knows: {sorted(_RESOURCES)}") from None
