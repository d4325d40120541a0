"""`spec.sessions`: how many live streams a pod holds, and how long one may last."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from asrpool_operator.api.base import Group, Rule

AUTO_SESSIONS_PER_POD = 8
"""Capacity assumed for `perPod: auto` until measuring it is acted on: what FunASR's own sizing gives 8 cores (FACTS §F)."""

MAX_SESSIONS_PER_POD = 10_000


class Sessions(Group):
    """Limits of live streams. A session is one live stream of one device."""

    rules = (
        Rule(
            cel=f"!has(self.perPod) || (type(self.perPod) == int ? int(self.perPod) >= 1 && int(self.perPod) <= {MAX_SESSIONS_PER_POD} : self.perPod == 'auto')",
            sentence=f"perPod must be a whole number from 1 to {MAX_SESSIONS_PER_POD}, or auto",
            holds=lambda sessions: sessions.per_pod == "auto" or 1 <= sessions.per_pod <= MAX_SESSIONS_PER_POD,
            field=".perPod",
        ),
    )

    per_pod: Annotated[StrictInt | Literal["auto"], Field(json_schema_extra={"x-kubernetes-int-or-string": True})] = 20
    """Live streams that one pod admits, or `auto` to have it measured."""
    max_seconds: int = Field(default=14_400, ge=1, le=604_800)
    """A stream that lasts longer is ended by its worker, with a reason."""
    idle_seconds: int = Field(default=60, ge=1, le=86_400)
    """A stream that sends nothing for this long is ended by its worker, with a reason."""
    resume_seconds: int = Field(default=30, ge=0, le=86_400)
    """How long an ended session may come back to its pod, also while that pod drains."""

    @property
    def capacity(self) -> int:
        """Sessions per pod as configured; the stated default for `auto`."""
        return AUTO_SESSIONS_PER_POD if isinstance(self.per_pod, str) else self.per_pod
