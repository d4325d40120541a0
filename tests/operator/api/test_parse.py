"""Reading an ASRPool: what is accepted, what it means where it is silent, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from asrpool_operator.api import Balance, Engine, parse
from asrpool_operator.errors import SpecError
from tests.operator.api.wrong_pools import BY_RULE, BY_SCHEMA, MODELS, Wrong

EXAMPLES = Path(__file__).parents[3] / "examples"


def pool(spec: dict[str, Any], name: str = "p") -> dict[str, Any]:
    return {"apiVersion": "asrpool.dev/v1alpha1", "kind": "ASRPool", "metadata": {"name": name}, "spec": spec}


def test_a_pool_of_one_line_has_sensible_defaults() -> None:
    spec = parse(pool({"models": MODELS})).spec

    assert (spec.scaling.min_replicas, spec.scaling.max_replicas) == (1, 10)
    assert (spec.sessions.per_pod, spec.sessions.capacity, spec.sessions.resume_seconds) == (20, 20, 30)
    assert (spec.gateway.queue_seconds, spec.gateway.max_queued, spec.gateway.balance) == (10, 1000, Balance.PACK)
    assert spec.gateway.sticky_on.header == "Device-Id"
    assert spec.worker.engine is Engine.ONNX
    assert spec.scaling.drain_seconds >= spec.sessions.max_seconds, "by default a drain never cuts a stream"


def test_the_pool_of_the_design_is_read() -> None:
    spec = parse(
        pool(
            {
                "models": {"online": "a", "offline": "b", "vad": "c", "punc": "d"},
                "worker": {"image": "i", "resources": {"limits": {"nvidia.com/gpu": 1}}},
                "sessions": {"perPod": "auto"},
                "scaling": {"minReplicas": 0, "maxReplicas": 50, "latency": {"percentile": 95, "milliseconds": 800}},
                "gateway": {"stickyOn": {"header": "Device-Id"}},
            }
        )
    ).spec

    assert spec.worker.resources.limits == {"nvidia.com/gpu": 1}
    assert spec.sessions.per_pod == "auto"
    assert spec.sessions.capacity >= 1
    assert spec.scaling.latency is not None
    assert spec.scaling.latency.milliseconds == 800


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_valid(path: Path) -> None:
    documents = [found for found in yaml.safe_load_all(path.read_text(encoding="utf-8")) if found]
    pools = [found for found in documents if found["kind"] == "ASRPool"]

    assert pools
    for found in pools:
        parse(found)


@pytest.mark.parametrize("wrong", [*BY_RULE.values(), *BY_SCHEMA.values()], ids=[*BY_RULE, *BY_SCHEMA])
def test_a_wrong_pool_is_refused_with_the_field(wrong: Wrong) -> None:
    with pytest.raises(SpecError) as refused:
        parse(pool(wrong.spec, wrong.name))

    assert wrong.field in str(refused.value)
    assert wrong.words in str(refused.value)


@pytest.mark.parametrize("name", ["p", "mandarin-2", "a" * 44])
def test_names_that_fit(name: str) -> None:
    """The longest one leaves room for a revision's hash of ten digits beside the StatefulSet's name in one label."""
    assert len(f"{parse(pool({'models': MODELS}, name)).metadata.name}-gateway-0123456789") <= 63


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(SpecError) as refused:
        parse(pool({"models": MODELS, "gateway": {"queueSeconds": -1}, "sessions": {"perPod": 0}}))

    assert "spec.gateway.queueSeconds" in str(refused.value)
    assert "spec.sessions" in str(refused.value)


def test_an_odd_status_does_not_stop_the_pool() -> None:
    parse({**pool({"models": MODELS}), "status": {"anything": 1}})


@pytest.mark.parametrize(
    ("key", "value"), [("kind", "Pod"), ("apiVersion", "asrpool.dev/v2"), ("metadata", None), ("spec", [])]
)
def test_another_object_is_not_a_pool(key: str, value: object) -> None:
    with pytest.raises(SpecError, match=key):
        parse({**pool({"models": MODELS}), key: value})
