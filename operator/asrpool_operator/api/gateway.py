"""`spec.gateway` and `spec.ingress`: how streams come in and find their pod."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from asrpool_operator.api.base import Group, Rule
from asrpool_operator.api.worker import (
    PRESERVE_UNKNOWN,
    LabelKey,
    LabelValue,
    ObjectName,
    PullPolicy,
    ResourceRequirements,
    Toleration,
)

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]*$", max_length=128)]
HostName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(\*\.)?[a-z0-9]([a-z0-9\-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9\-]*[a-z0-9])?)*$", max_length=253
    ),
]
SecretKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._\-]+$", max_length=253)]


class StickyOn(Group):
    """What tells one device from another, so that it comes back to its pod."""

    rules = (
        Rule(
            cel="has(self.header) != has(self.query)",
            sentence="set exactly one of header and query",
            holds=lambda sticky: (sticky.header is None) != (sticky.query is None),
        ),
    )

    header: HeaderName | None = None
    """A request header; where a client cannot set one, the query parameter of the same name in lower case."""
    query: HeaderName | None = None
    """A query parameter."""


class Balance(StrEnum):
    """Which pod a newcomer goes to."""

    PACK = "pack"
    SPREAD = "spread"


class SecretKeyReference(Group):
    """One key of a Secret in the pool's namespace."""

    name: ObjectName
    """The Secret's name."""
    key: SecretKey
    """The key inside it."""


class Jwt(Group):
    """Accept clients whose bearer token is a JWT signed by this key."""

    public_key_secret: SecretKeyReference
    """PEM public key that the signature is checked with."""
    algorithm: Annotated[str, StringConstraints(pattern=r"^(RS256|RS384|RS512|ES256|ES384|ES512)$")] = "RS256"
    """Signature algorithm."""
    issuer: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Required `iss`."""
    audience: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Required `aud`."""


class Auth(Group):
    """Who may open a stream."""

    rules = (
        Rule(
            cel="has(self.tokensSecret) != has(self.jwt)",
            sentence="set exactly one of tokensSecret and jwt",
            holds=lambda auth: (auth.tokens_secret is None) != (auth.jwt is None),
        ),
    )

    tokens_secret: SecretKeyReference | None = None
    """A Secret's key that holds accepted bearer tokens, one a line."""
    jwt: Jwt | None = None
    """Signed tokens."""


class RateLimit(Group):
    """How fast one client address may open streams."""

    new_streams_per_second: float = Field(ge=0.01, le=100_000)
    """New streams a second from one client address; more are answered 429."""
    burst: int = Field(default=10, ge=1, le=100_000)
    """How many may come at once."""


class TlsSecret(Group):
    """A certificate."""

    secret_name: ObjectName
    """A Secret of type kubernetes.io/tls in the pool's namespace."""


class ServiceType(StrEnum):
    """How the gateway's Service is reached."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class Gateway(Group):
    """The pool's own gateway (HAProxy): stickiness, per-pod limit, queue."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """Container image; the operator's own default where empty."""
    image_pull_policy: PullPolicy | None = None
    """When the image is pulled; the cluster's default where empty."""
    replicas: int = Field(default=1, ge=1, le=32)
    """Gateway pods."""
    sticky_on: StickyOn = StickyOn(header="Device-Id")
    """What tells one device from another."""
    queue_seconds: int = Field(default=10, ge=0, le=600)
    """How long a newcomer that finds no room waits before it is refused (503 with Retry-After)."""
    max_queued: int = Field(default=1000, ge=0, le=100_000)
    """How many newcomers may wait; more are refused at once."""
    balance: Balance = Balance.PACK
    """`pack` fills the fullest pod that has room, so that others empty and can go; `spread` takes the emptiest."""
    service_type: ServiceType = ServiceType.CLUSTER_IP
    """How the gateway's Service is reached."""
    auth: Auth | None = None
    """Who may open a stream; everybody by default."""
    rate_limit: RateLimit | None = None
    """How fast one client address may open streams; no limit by default."""
    tls: TlsSecret | None = None
    """Serve TLS with this certificate; plain by default."""
    resources: ResourceRequirements = ResourceRequirements()
    """Requests and limits of the gateway container."""
    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=64)
    """Labels that a node must carry to run a gateway."""
    tolerations: tuple[Toleration, ...] = Field(default=(), max_length=64)
    """Taints that the gateways tolerate."""
    pod_template: dict[str, Any] = Field(default_factory=dict, json_schema_extra=PRESERVE_UNKNOWN)
    """A pod template (`metadata`, `spec`) merged over the one the operator makes; its container is named `gateway`.
    A terminationGracePeriodSeconds shorter than scaling.drainSeconds and 30 s is refused: it would cut live streams.
    """


class GatewayRef(Group):
    """A Gateway (gateway.networking.k8s.io) that an HTTPRoute is attached to."""

    name: ObjectName
    """The Gateway's name."""
    namespace: ObjectName | None = None
    """The Gateway's namespace; the pool's own where empty."""
    section_name: ObjectName | None = None
    """One listener of it."""


class Ingress(Group):
    """How the pool is reached from outside: an Ingress, or an HTTPRoute where gatewayRef is set."""

    rules = (
        Rule(
            cel="!has(self.gatewayRef) || (!has(self.className) && !has(self.tls))",
            sentence="className and tls belong to an Ingress, gatewayRef to an HTTPRoute: set one or the other",
            holds=lambda ingress: ingress.gateway_ref is None or (ingress.class_name is None and ingress.tls is None),
        ),
    )

    class_name: ObjectName | None = None
    """IngressClass; the cluster's default where empty."""
    host: HostName
    """Host name that the streams come in by."""
    tls: TlsSecret | None = None
    """Certificate of the host."""
    annotations: dict[LabelKey, Annotated[str, StringConstraints(max_length=4096)]] = Field(
        default_factory=dict, max_length=64
    )
    """Annotations for the Ingress or HTTPRoute, as its controller asks for."""
    gateway_ref: GatewayRef | None = None
    """Make an HTTPRoute on this Gateway instead of an Ingress."""
