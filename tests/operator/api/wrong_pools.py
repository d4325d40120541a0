"""Pools that cannot work, and what their author is told: by the API server and by `asrpool plan` alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MODELS = {"online": "paraformer-zh-streaming"}


@dataclass(frozen=True)
class Wrong:
    """A spec, the field that must be named, and words that must be in the sentence."""

    spec: dict[str, Any]
    field: str
    words: str
    name: str = "tried"


def _scaling(**fields: Any) -> dict[str, Any]:
    return {"models": MODELS, "scaling": fields}


_SCHEDULE = {"name": "day", "cron": "0 8 * * 1-5", "durationSeconds": 3600}

BY_RULE = {
    "NoModelAtAll": Wrong({"models": {"vad": "fsmn-vad"}}, "spec.models", "set online, offline or both"),
    "NoSessionsPerPod": Wrong({"models": MODELS, "sessions": {"perPod": 0}}, "spec.sessions", "perPod must be"),
    "SessionsPerPodInWords": Wrong({"models": MODELS, "sessions": {"perPod": "many"}}, "spec.sessions.perPod", "auto"),
    "SessionsPerPodInQuotes": Wrong({"models": MODELS, "sessions": {"perPod": "20"}}, "spec.sessions.perPod", "auto"),
    "MinAboveMax": Wrong(
        _scaling(minReplicas=5, maxReplicas=2), "spec.scaling", "minReplicas must not be greater than maxReplicas"
    ),
    "MinAboveTheDefaultMax": Wrong(
        _scaling(minReplicas=11), "spec.scaling", "minReplicas must not be greater than maxReplicas"
    ),
    "PanicWithoutStable": Wrong(
        _scaling(windows={"panicSeconds": 6}), "spec.scaling.windows", "panicSeconds needs stableSeconds"
    ),
    "PanicLongerThanStable": Wrong(
        _scaling(windows={"panicSeconds": 60, "stableSeconds": 30}),
        "spec.scaling.windows",
        "panicSeconds must not be longer",
    ),
    "ScheduleWithoutEffect": Wrong(
        _scaling(schedules=[_SCHEDULE]), "spec.scaling.schedules", "needs minReplicas, maxReplicas or both"
    ),
    "ScheduleUpsideDown": Wrong(
        _scaling(schedules=[_SCHEDULE | {"minReplicas": 3, "maxReplicas": 2}]),
        "spec.scaling.schedules",
        "minReplicas must not be greater than maxReplicas",
    ),
    "ScheduleBeyondMax": Wrong(
        _scaling(schedules=[_SCHEDULE | {"minReplicas": 30}]),
        "spec.scaling",
        "must not be greater than scaling.maxReplicas",
    ),
    "TwoSchedulesOfOneName": Wrong(
        _scaling(schedules=[_SCHEDULE | {"minReplicas": 1}, _SCHEDULE | {"minReplicas": 2}]),
        "spec.scaling",
        "each schedule needs a name of its own",
    ),
    "StickyOnNothing": Wrong(
        {"models": MODELS, "gateway": {"stickyOn": {}}}, "spec.gateway.stickyOn", "exactly one of header and query"
    ),
    "StickyOnTwoThings": Wrong(
        {"models": MODELS, "gateway": {"stickyOn": {"header": "Device-Id", "query": "id"}}},
        "spec.gateway.stickyOn",
        "exactly one of header and query",
    ),
    "AuthOfNoKind": Wrong(
        {"models": MODELS, "gateway": {"auth": {}}}, "spec.gateway.auth", "exactly one of tokensSecret and jwt"
    ),
    "CacheOfNoKind": Wrong(
        {"models": MODELS, "worker": {"modelCache": {}}},
        "spec.worker.modelCache",
        "exactly one of persistentVolumeClaim",
    ),
    "HalfPrecisionWithOnnx": Wrong(
        {"models": MODELS, "worker": {"dtype": "float16"}}, "spec.worker", "engine onnx computes in float32 or int8"
    ),
    "EightBitsWithTorch": Wrong(
        {"models": MODELS, "worker": {"engine": "torch", "dtype": "int8"}}, "spec.worker", "int8 needs engine onnx"
    ),
    "NameTooLongForItsServices": Wrong({"models": MODELS}, "metadata.name", "at most 44", name="a" * 45),
    "NameThatBeginsWithADigit": Wrong({"models": MODELS}, "metadata.name", "begin with a letter", name="2pass"),
    "NameWithADot": Wrong({"models": MODELS}, "metadata.name", "begin with a letter", name="mandarin.north"),
    "IngressAndRouteAtOnce": Wrong(
        {"models": MODELS, "ingress": {"host": "asr.example.com", "className": "nginx", "gatewayRef": {"name": "gw"}}},
        "spec.ingress",
        "set one or the other",
    ),
}
"""Broken rules: the sentence is ours, and the same in both places."""

BY_SCHEMA = {
    "NoModels": Wrong({}, "spec.models", "equired"),
    "NoMaximum": Wrong(_scaling(maxReplicas=0), "spec.scaling.maxReplicas", "greater than or equal to 1"),
    "NegativeMinimum": Wrong(_scaling(minReplicas=-1), "spec.scaling.minReplicas", "greater than or equal to 0"),
    "UtilizationOverOne": Wrong(
        _scaling(targetUtilization=1.5), "spec.scaling.targetUtilization", "less than or equal to 1"
    ),
    "LatencyWithoutTarget": Wrong(_scaling(latency={"percentile": 95}), "spec.scaling.latency.milliseconds", "equired"),
    "CronOfFourFields": Wrong(_scaling(schedules=[_SCHEDULE | {"cron": "0 8 * *", "minReplicas": 1}]), "cron", "match"),
    "BufferWithoutUnit": Wrong(_scaling(buffer="12"), "spec.scaling.buffer", "match"),
    "UnknownEngine": Wrong({"models": MODELS, "worker": {"engine": "tpu"}}, "spec.worker.engine", "onnx"),
    "UnknownDevice": Wrong({"models": MODELS, "worker": {"device": "gpu0"}}, "spec.worker.device", "match"),
    "IngressWithoutHost": Wrong({"models": MODELS, "ingress": {}}, "spec.ingress.host", "equired"),
    "HostWithAPath": Wrong({"models": MODELS, "ingress": {"host": "asr.example.com/x"}}, "spec.ingress.host", "match"),
    "ForeverWaiting": Wrong(
        {"models": MODELS, "gateway": {"queueSeconds": 601}}, "spec.gateway.queueSeconds", "less than or equal to 600"
    ),
    "UnknownField": Wrong({"models": MODELS, "replicas": 3}, "spec", "replicas"),
}
"""Broken types and bounds: each place has its own words."""
