"""Whether the components answer, asked from the host over the node's own address."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.components import Component
from devcluster.errors import ComponentError
from devcluster.node_process import NodeProcess, UnitState
from devcluster.settings import Settings

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class ComponentStatus:
    """One component: `state` is `healthy`, `unhealthy` (runs, does not answer well), `stopped` or `missing`."""

    name: str
    state: str
    detail: str
    pid: int | None
    restarts: int


class Api:
    """The API server as the administrator reaches it. Also asks the other components' health pages."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls = ssl.create_default_context(cafile=str(settings.pki / "ca.crt"))
        self._tls.load_cert_chain(settings.pki / "admin.crt", settings.pki / "admin.key")
        # The control plane's helpers serve their health page under a certificate of their own making.
        self._tls_unchecked = ssl.create_default_context()
        self._tls_unchecked.check_hostname = False
        self._tls_unchecked.verify_mode = ssl.CERT_NONE

    def fetch(self, url: str, timeout_seconds: float = 3.0) -> str:
        """The body of a page; OSError or HTTPException where there is none."""
        own = url.startswith(self._settings.api_url)
        context = self._tls if own else self._tls_unchecked
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(url, timeout=timeout_seconds) as response:
            body: bytes = response.read()
        return body.decode()

    def get(self, path: str) -> dict[str, Any]:
        """An object or list of the Kubernetes API."""
        document: dict[str, Any] = json.loads(self.fetch(self._settings.api_url + path))
        return document

    def ailment(self, url: str) -> str | None:
        """What is wrong with the component that serves this page; None where it is well."""
        try:
            self.fetch(url)
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            return f"{reason}"
        return None

    def node_ready(self) -> str | None:
        """None once the node is Ready, else what is said of it."""
        try:
            node = self.get(f"/api/v1/nodes/{self._settings.node_name}")
        except (OSError, http.client.HTTPException) as error:
            return f"{error}"
        for condition in node.get("status", {}).get("conditions", []):
            if condition["type"] == "Ready":
                return None if condition["status"] == "True" else str(condition.get("message", "not ready"))
        return "the kubelet has not reported yet"


def component_statuses(
    components: Sequence[Component], units: Sequence[UnitState], ailment: Callable[[str], str | None]
) -> list[ComponentStatus]:
    """Put together what the node says of each process and what the process says of itself."""
    known = {unit.name: unit for unit in units}
    statuses = []
    for component in components:
        unit = known.get(component.name)
        if unit is None:
            statuses.append(ComponentStatus(component.name, "missing", "was never started", None, 0))
        elif unit.pid is None:
            detail = f"last exit: {unit.last_exit}" if unit.last_exit else ""
            state = "unhealthy" if unit.wanted else "stopped"
            statuses.append(ComponentStatus(component.name, state, detail, None, unit.restarts))
        else:
            trouble = ailment(component.health) if component.health else None
            state, detail = ("healthy", "") if trouble is None else ("unhealthy", trouble)
            statuses.append(ComponentStatus(component.name, state, detail, unit.pid, unit.restarts))
    return statuses


def wait_until_well(settings: Settings, what: str, check: Callable[[], str | None], timeout_seconds: float) -> None:
    """Poll until `check` finds nothing wrong; a component has no way of telling us."""
    deadline = time.monotonic() + timeout_seconds
    while (trouble := check()) is not None:
        if time.monotonic() > deadline:
            raise ComponentError(
                f"{what} is not well after {timeout_seconds:.0f} s: {trouble}",
                f"See the logs in {settings.logs}; `python -m devcluster status` tells which parts answer.",
            )
        time.sleep(_POLL_SECONDS)


def component_check(api: Api, node: NodeProcess, component: Component) -> Callable[[], str | None]:
    """The check for `wait_until_well` of one component."""

    def check() -> str | None:
        if component.health is not None:
            return api.ailment(component.health)
        states = {unit.name: unit for unit in node.units()}
        unit = states.get(component.name)
        return None if unit is not None and unit.pid is not None else "it does not run"

    return check
