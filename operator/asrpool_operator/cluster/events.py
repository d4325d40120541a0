"""Events about a pool, in the events.k8s.io/v1 form, each said once.

An Event is for a transition. The rules that make them see only the last status; after an operator restart or a change
of leader the same transition could be told again, and a problem that flaps would fill etcd. So the same words about
the same pool within `QUIET_SECONDS` are said once.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from asrpool_operator.cluster.protocol import Manifest

QUIET_SECONDS = 600.0
REPORTING_CONTROLLER = "asrpool.dev/operator"
_NOTE_LIMIT = 1024
_REMEMBERED = 256


@dataclass(slots=True)
class EventFilter:
    """Which events of one pool were said lately."""

    _said: dict[tuple[str, str], float] = field(default_factory=dict)

    def is_new(self, reason: str, note: str, now: float) -> bool:
        """Whether to say this now; remembers that it was said."""
        self._said = {key: when for key, when in self._said.items() if now - when < QUIET_SECONDS}
        key = (reason, note)
        if key in self._said or len(self._said) >= _REMEMBERED:
            return False
        self._said[key] = now
        return True


def event_manifest(
    about: Mapping[str, Any], *, type_: str, reason: str, note: str, action: str, instance: str, wall: datetime
) -> Manifest:
    """One Event about the object `about` (its JSON), reported by the operator replica `instance`."""
    metadata = about["metadata"]
    namespace = metadata.get("namespace", "default")
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:200]}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
        "eventTime": wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": type_,
        "reason": reason[:128],
        "action": action,
        "note": note if len(note) <= _NOTE_LIMIT else note[: _NOTE_LIMIT - 1] + "…",
        "reportingController": REPORTING_CONTROLLER,
        "reportingInstance": instance[:128],
        "regarding": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": namespace,
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
    }
