"""Write the pool's status and Events, when there is something new to say.

What changes all the time (how many streams) is written at most every `NUMBERS_SECONDS`; everything else at once.
Events follow the status: an operator that dies in between says less, never something that is not so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from asrpool_operator.api import ConditionStatus
from asrpool_operator.cluster.events import EventFilter, event_manifest
from asrpool_operator.cluster.protocol import Cluster, Manifest, ref_of
from asrpool_operator.errors import ClusterError, NotFoundError
from asrpool_operator.reconcile.errors import PoolGoneError
from asrpool_operator.status import Event, Report
from asrpool_operator.status.conditions import Finding, conditions_of, dated

log = logging.getLogger(__name__)

NUMBERS_SECONDS = 2.0
_NUMBERS = frozenset({"sessions", "queued", "latencyMilliseconds", "sessionsPerPod", "cost"})


class Reporter:
    """Reports on one pool; remembers the status as it was written last."""

    def __init__(self, cluster: Cluster, identity: str, body: Manifest) -> None:
        self._cluster = cluster
        self._identity = identity
        self._written: dict[str, Any] = dict(body.get("status") or {})
        self._written_unix_seconds = 0.0
        self._events = EventFilter()

    @property
    def previous(self) -> Mapping[str, Any]:
        """The status as it stands."""
        return self._written

    async def report(self, body: Manifest, said: Report, now: float) -> None:
        """Write the status if it changed, then send the Events. Raises a `ClusterError`, or `PoolGoneError`."""
        if self._is_due(said.status, now):
            await self._write(body, said.status, now)
        for event in said.events:
            if self._events.is_new(event.reason, event.message, now):
                await self._send(body, event, now)

    def _is_due(self, status: Mapping[str, Any], now: float) -> bool:
        if status == self._written:
            return False
        rest, rest_before = _without_numbers(status), _without_numbers(self._written)
        return rest != rest_before or now - self._written_unix_seconds >= NUMBERS_SECONDS

    async def _write(self, body: Manifest, status: dict[str, Any], now: float) -> None:
        gone = {key: None for key in self._written if key not in status}
        try:
            await self._cluster.patch_status(ref_of(body), {**status, **gone}, body["metadata"]["uid"])
        except NotFoundError as error:
            raise PoolGoneError(f"{ref_of(body)} was deleted") from error
        self._written, self._written_unix_seconds = status, now

    async def _send(self, body: Manifest, event: Event, now: float) -> None:
        log.info("pool %s: %s: %s", body["metadata"]["name"], event.reason, event.message)
        manifest = event_manifest(
            body,
            type_=event.type,
            reason=event.reason,
            note=event.message,
            action="Reconcile",
            instance=self._identity,
            wall=datetime.fromtimestamp(now, UTC),
        )
        try:
            await self._cluster.create(manifest)
        except ClusterError as error:
            # An Event is a courtesy: what it tells is in the status and in this log as well.
            log.warning("the Event %s could not be sent: %s", event.reason, error)


def with_refusals(
    said: Report, refused: tuple[str, ...], previous: Mapping[str, Any], generation: int, now: float
) -> Report:
    """The report with a condition `Applied`: whether the API server took everything that the spec asks for."""
    if refused:
        message = "; ".join(refused)
        finding = Finding("Applied", ConditionStatus.FALSE, "ApplyFailed", message)
    else:
        message = "the pool's objects are as the spec asks for"
        finding = Finding("Applied", ConditionStatus.TRUE, "AsRendered", message)
    was = conditions_of(previous).get("Applied", {})
    is_news = bool(refused) and was.get("message") != message
    events = (*said.events, Event("Warning", "ApplyFailed", message)) if is_news else said.events
    conditions = [*said.status["conditions"], *dated([finding], previous, generation, now)]
    return Report({**said.status, "conditions": conditions}, events)


def refusal(sentence: str, previous: Mapping[str, Any], generation: int, now: float) -> Report:
    """The report of a tick that the API server's refusal ended: the status as it stands, with `Applied` false."""
    kept = [condition for type_, condition in conditions_of(previous).items() if type_ != "Applied"]
    status = {**previous, "observedGeneration": generation, "conditions": kept}
    return with_refusals(Report(status, ()), (sentence,), previous, generation, now)


def _without_numbers(status: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key not in _NUMBERS}
