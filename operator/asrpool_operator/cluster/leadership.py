"""Holding the lease: the loop around `lease`'s rules.

`leading` is a fence, not a flag: it turns false by the clock alone, also while a renewal hangs or the process was
stopped. Whoever is about to change something asks it right before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from asrpool_operator.cluster.lease import (
    LeaseSeen,
    LeaseTiming,
    Step,
    is_leading,
    lease_manifest,
    next_step,
    observe,
)
from asrpool_operator.cluster.protocol import Cluster, ObjectRef
from asrpool_operator.errors import ClusterError, ConflictError, NotFoundError

log = logging.getLogger(__name__)


class Leadership:
    """One replica's claim to lead. `changed` is called with True on gain and with False on loss."""

    def __init__(
        self,
        cluster: Cluster,
        lease: ObjectRef,
        identity: str,
        *,
        changed: Callable[[bool], None],
        timing: LeaseTiming | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._lease = lease
        self._identity = identity
        self._changed = changed
        self._timing = timing or LeaseTiming()
        self._monotonic = monotonic
        self._seen: LeaseSeen | None = None
        self._renewed_at: float | None = None
        self._told = False
        self._in_trouble = False

    @property
    def leading(self) -> bool:
        """Whether this replica may act at this very moment."""
        return is_leading(self._renewed_at, self._timing, self._monotonic())

    async def run(self) -> None:
        """Try to lead for ever; on cancellation hand the lease back, so that another leads at once."""
        try:
            while True:
                await self.try_once()
                await asyncio.sleep(self._timing.retry_seconds)
        finally:
            await self._release()

    async def try_once(self) -> None:
        """One round: read the lease, take the step the rules allow, tell of a change."""
        try:
            # A hung call must not outlive the right to lead.
            async with asyncio.timeout(self._timing.retry_seconds * 2):
                await self._step()
            self._in_trouble = False
        except ConflictError:
            # Another hand wrote the lease between our read and our write: lead again only after a fresh look.
            self._renewed_at = None
        except (ClusterError, TimeoutError) as error:
            level = logging.DEBUG if self._in_trouble else logging.WARNING  # an outage is told once, not every try
            log.log(level, "the lease %s could not be read or renewed: %s; trying on", self._lease, error)
            self._in_trouble = True
        self._tell()

    async def _step(self) -> None:
        try:
            manifest = await self._cluster.get(self._lease)
            self._seen = observe(manifest, self._seen, self._monotonic())
        except NotFoundError:
            self._seen = None
        step = next_step(self._seen, self._identity, self._monotonic())
        if step is Step.WAIT:
            self._renewed_at = None
            return
        sent_at = self._monotonic()
        wanted = lease_manifest(self._lease, self._identity, self._timing, self._seen, datetime.now(UTC))
        write = self._cluster.create if step is Step.CREATE else self._cluster.replace
        self._seen = observe(await write(wanted), self._seen, self._monotonic())
        self._renewed_at = sent_at

    def _tell(self) -> None:
        leading = self.leading
        if leading != self._told:
            self._told = leading
            log.info("leader election: %s %s", self._identity, "leads" if leading else "does not lead (any more)")
            self._changed(leading)

    async def _release(self) -> None:
        leading, self._renewed_at = self.leading, None
        self._tell()
        if not leading or self._seen is None:
            return
        given_up = lease_manifest(self._lease, "", self._timing, self._seen, datetime.now(UTC))
        try:
            await self._cluster.replace(given_up)
        except ClusterError as error:
            log.warning("the lease %s could not be handed back, another replica waits it out: %s", self._lease, error)
