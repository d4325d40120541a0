"""The ASRPool resource: pydantic models that the CRD is generated from."""

from asrpool_operator.api.gateway import Balance, Gateway, Ingress, StickyOn
from asrpool_operator.api.resource import (
    API_VERSION,
    GROUP,
    KIND,
    PLURAL,
    VERSION,
    ASRPool,
    ASRPoolSpec,
    Metadata,
    parse,
)
from asrpool_operator.api.scaling import (
    Behavior,
    Latency,
    LatencyOf,
    PolicyType,
    Scaling,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Windows,
)
from asrpool_operator.api.sessions import Sessions
from asrpool_operator.api.status import ASRPoolStatus, Condition, ConditionStatus, Cost, LastDecision
from asrpool_operator.api.worker import Engine, ModelCache, Models, Worker

__all__ = [
    "API_VERSION",
    "GROUP",
    "KIND",
    "PLURAL",
    "VERSION",
    "ASRPool",
    "ASRPoolSpec",
    "ASRPoolStatus",
    "Balance",
    "Behavior",
    "Condition",
    "ConditionStatus",
    "Cost",
    "Engine",
    "Gateway",
    "Ingress",
    "LastDecision",
    "Latency",
    "LatencyOf",
    "Metadata",
    "ModelCache",
    "Models",
    "PolicyType",
    "Scaling",
    "ScalingPolicy",
    "ScalingRules",
    "SelectPolicy",
    "Sessions",
    "StickyOn",
    "Windows",
    "Worker",
    "parse",
]
