"""One task per pool, while this replica leads.

All replicas hear of all pools, so that a new leader starts with every pool at once. Pools carry no finalizer: deleting
one needs no operator, its owner references do all the work, and a task whose pool is gone simply ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from asrpool_operator.cluster.protocol import Manifest
from asrpool_operator.errors import AsrpoolOperatorError, NotLeaderError, SpecError
from asrpool_operator.metrics import Metrics
from asrpool_operator.reconcile.errors import PoolGoneError
from asrpool_operator.snapshot import PoolSnapshot

log = logging.getLogger(__name__)

_AFTER_BUG_SECONDS = 5.0
_STUCK_SECONDS = 60.0


class Ticker(Protocol):
    """What a pool's task runs: one observe-decide-apply a call."""

    @property
    def snapshot(self) -> PoolSnapshot | None:
        """What the last decision was made from."""
        ...

    async def tick(self, body: Manifest) -> None:
        """Raises `PoolGoneError`, `NotLeaderError`, `SpecError` or a `ClusterError`; all but bugs are typed."""
        ...


@dataclass(slots=True)
class _Pool:
    body: Manifest
    task: asyncio.Task[None] | None = None
    ticker: Ticker | None = None
    trouble: str = ""
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Starts, wakes and ends the pools' tasks. Its methods belong to the event loop it was made in."""

    def __init__(self, make_ticker: Callable[[Manifest], Ticker], metrics: Metrics, interval_seconds: float) -> None:
        self._make_ticker = make_ticker
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._leading = False
        self._last_tick = time.monotonic()

    def seen(self, body: Manifest) -> None:
        """An ASRPool exists and looks like this. A new one, or one with a new spec, is looked at immediately."""
        key = _key(body)
        known = self._pools.get(key)
        if known is not None and _uid(known.body) != _uid(body):
            self.gone(known.body)
            known = None
        if known is None:
            known = self._pools[key] = _Pool(body)
            self._start(known)
        elif _generation(known.body) != _generation(body):
            known.wake.set()
        known.body = body
        self._metrics.pools.set(len(self._pools))

    def gone(self, body: Manifest) -> None:
        """An ASRPool was deleted."""
        key = _key(body)
        known = self._pools.get(key)
        if known is None or _uid(known.body) != _uid(body):
            return
        if known.task is not None:
            known.task.cancel()
        self._forget(key)

    def lead(self, leading: bool) -> None:
        """Act on all pools from now on, or cease to."""
        self._leading = leading
        self._metrics.leader.set(int(leading))
        self._last_tick = time.monotonic()
        for pool in self._pools.values():
            if leading:
                self._start(pool)
            elif pool.task is not None:
                pool.task.cancel()
                pool.task = pool.ticker = None

    def snapshot_of(self, namespace: str, name: str) -> PoolSnapshot | None:
        """What this replica saw of a pool last; None where there is no such pool or another replica leads."""
        pool = self._pools.get((namespace, name))
        return None if pool is None or pool.ticker is None else pool.ticker.snapshot

    def why_stuck(self) -> str:
        """A sentence if this replica leads pools and no tick has ended for long, else an empty string."""
        silent_seconds = time.monotonic() - self._last_tick
        if self._leading and self._pools and silent_seconds > _STUCK_SECONDS:
            return f"no tick of any pool has ended for {silent_seconds:.0f} s"
        return ""

    async def close(self) -> None:
        """End all tasks and wait until they have ended."""
        tasks = [pool.task for pool in self._pools.values() if pool.task is not None]
        self.lead(leading=False)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: tuple[str, str]) -> None:
        del self._pools[key]
        self._metrics.forget(*key)
        self._metrics.pools.set(len(self._pools))

    def _start(self, pool: _Pool) -> None:
        if self._leading and (pool.task is None or pool.task.done()):
            pool.task = asyncio.create_task(self._keep(pool), name="pool {}/{}".format(*_key(pool.body)))

    async def _keep(self, pool: _Pool) -> None:
        ticker = pool.ticker = self._make_ticker(pool.body)
        while True:
            started = time.monotonic()
            pool.wake.clear()
            try:
                result = await self._tick(ticker, pool)
            except PoolGoneError as error:
                log.info("%s", error)
                # Not `gone()`: that would cancel this very task. A pool of the same name made anew starts afresh.
                if self._pools.get(_key(pool.body)) is pool:
                    self._forget(_key(pool.body))
                return
            self._last_tick = time.monotonic()
            took_seconds = self._last_tick - started
            self._metrics.tick_seconds.observe(took_seconds)
            self._metrics.ticks.labels(result).inc()
            pause_seconds = _AFTER_BUG_SECONDS if result == "bug" else self._interval_seconds - took_seconds
            await _sleep_or_wake(pool.wake, pause_seconds)

    async def _tick(self, ticker: Ticker, pool: _Pool) -> str:
        name = "{}/{}".format(*_key(pool.body))
        try:
            await ticker.tick(pool.body)
        except SpecError as error:
            _tell(pool, name, error)
            return "spec_error"
        except NotLeaderError as error:
            log.info("pool %s: %s", name, error)
            return "not_leader"
        except PoolGoneError:
            raise
        except AsrpoolOperatorError as error:
            _tell(pool, name, error)
            return "cluster_error"
        except Exception:
            # A bug must cost one pool some seconds, not all pools their operator; it is counted and told in full.
            log.exception("pool %s: this is a bug in the operator, please report it", name)
            return "bug"
        if pool.trouble:
            log.info("pool %s: that is over: %s", name, pool.trouble)
            pool.trouble = ""
        return "ok"


def _tell(pool: _Pool, name: str, error: AsrpoolOperatorError) -> None:
    """Once, not every second: an outage or a wrong spec would bury everything else."""
    words = str(error)
    log.log(logging.DEBUG if words == pool.trouble else logging.WARNING, "pool %s: %s; trying on", name, words)
    pool.trouble = words


async def _sleep_or_wake(wake: asyncio.Event, seconds: float) -> None:
    # Give way to others also when a tick took longer than the interval.
    try:
        async with asyncio.timeout(max(seconds, 0.01)):
            await wake.wait()
    except TimeoutError:
        return


def _key(body: Manifest) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _uid(body: Manifest) -> str:
    return str(body["metadata"].get("uid", ""))


def _generation(body: Manifest) -> int:
    return int(body["metadata"].get("generation", 0))
