"""HAProxy's agent-check: each connection to this port is answered with one line and closed.

The line is the worker's wish, and HAProxy acts on it within one check interval:

* `ready up maxconn:N`: newcomers up to N sessions.
* `drain`: no newcomers, while a device that has been here still reaches the pod by its stick-table entry.
* `drain maxconn:N`: the same for a pod that is no longer full by its configuration but by a lowered capacity. Only `drain`
  lets known devices in while newcomers stay out (a server's maxconn makes both wait), and `maxconn:0` would mean no limit at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from asrpool_worker.server.admission import Admission


def agent_line(admission: Admission) -> str:
    """What to tell HAProxy now."""
    if not admission.ready:
        return "drain"
    lowered = admission.capacity < admission.configured_capacity
    if admission.draining or (lowered and admission.active >= admission.capacity):
        return f"drain maxconn:{admission.configured_capacity}" if lowered else "drain"
    return f"ready up maxconn:{admission.capacity}"


async def start_agent(host: str, port: int, line: Callable[[], str]) -> asyncio.Server:
    """Listen; raises `OSError` where the port is taken."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line().encode() + b"\n")
        writer.close()

    return await asyncio.start_server(answer, host, port)
