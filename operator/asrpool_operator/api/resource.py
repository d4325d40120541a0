"""The ASRPool as a whole, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, ValidationError

from asrpool_operator.api.base import Group, Rule
from asrpool_operator.api.gateway import Gateway, Ingress
from asrpool_operator.api.scaling import Scaling
from asrpool_operator.api.sessions import Sessions
from asrpool_operator.api.status import ASRPoolStatus
from asrpool_operator.api.worker import Models, Worker
from asrpool_operator.errors import SpecError

GROUP: Final = "asrpool.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "asrpool.dev/v1alpha1"
KIND: Final = "ASRPool"
PLURAL: Final = "asrpools"

NAME_PATTERN: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
LONGEST_NAME: Final = 44
"""The pods of StatefulSet `<pool>-gateway` carry its name and a hash of 10 digits in one label of at most 63 characters."""


class Metadata(Group):
    """The part of an object's metadata that the operator uses."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=253)
    namespace: str = "default"
    uid: str = ""
    generation: int = 1
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class ASRPoolSpec(Group):
    """What the pool shall be."""

    models: Models
    """The models each worker loads."""
    worker: Worker = Worker()
    """The worker pods."""
    sessions: Sessions = Sessions()
    """Limits of live streams."""
    scaling: Scaling = Scaling()
    """How many pods the pool has."""
    gateway: Gateway = Gateway()
    """The pool's own gateway."""
    ingress: Ingress | None = None
    """How the pool is reached from outside the cluster; from inside only, by default."""


class ASRPool(Group):
    """A pool of speech recognition workers behind one gateway, scaled on live streams and latency."""

    rules = (
        Rule(
            cel=f"self.metadata.name.matches('{NAME_PATTERN}') && size(self.metadata.name) <= {LONGEST_NAME}",
            sentence=(
                f"metadata.name must begin with a letter, hold only a-z, 0-9 and -, and have at most {LONGEST_NAME} "
                "characters: the pool's Services and pods are named after it, with endings like -gateway-admin"
            ),
            holds=lambda pool: (
                re.fullmatch(NAME_PATTERN, pool.metadata.name) is not None and len(pool.metadata.name) <= LONGEST_NAME
            ),
        ),
    )

    api_version: Literal["asrpool.dev/v1alpha1"] = API_VERSION
    kind: Literal["ASRPool"] = KIND
    metadata: Metadata
    spec: ASRPoolSpec
    status: ASRPoolStatus = ASRPoolStatus()


def parse(document: Mapping[str, Any]) -> ASRPool:
    """Read one ASRPool from its YAML or JSON object.

    Raises `SpecError`, which names each field at fault by its path as the user wrote it. `status` is not read: the
    operator wrote it, and an odd one must not stop the pool.
    """
    try:
        return ASRPool.model_validate({key: value for key, value in document.items() if key != "status"})
    except ValidationError as error:
        raise SpecError(_sentences(error)) from error


def _sentences(error: ValidationError) -> str:
    """One sentence a field; the branches of a union (`int | "auto"`) are one field."""
    messages: dict[str, list[str]] = {}
    for problem in error.errors():
        path = ".".join(str(part) for part in problem["loc"] if not _is_union_branch(part))
        message = "is not a field of ASRPool" if problem["type"] == "extra_forbidden" else problem["msg"]
        messages.setdefault(path, []).append(message.removeprefix("Value error, "))
    return "; ".join(
        (f"{path}: " if path else "") + ", or ".join(dict.fromkeys(said)) for path, said in messages.items()
    )


def _is_union_branch(part: int | str) -> bool:
    """Whether a location part names a branch of `int | …`, which the user never wrote."""
    return isinstance(part, str) and (part in {"int", "str"} or part.startswith(("literal[", "constrained-str")))
