"""Errors by whose fault they are, so that a log line or a condition says who has to act."""

from __future__ import annotations


class AsrpoolOperatorError(Exception):
    """Base of all errors this package raises on purpose."""


class SettingsError(AsrpoolOperatorError):
    """The operator was started with settings that cannot work; the message names each wrong one."""


class SpecError(AsrpoolOperatorError):
    """The ASRPool says something that cannot work; the message names the field and what to write instead."""


class ClusterError(AsrpoolOperatorError):
    """The Kubernetes API refused or did not answer; the message says which call and what is missing."""


class NotFoundError(ClusterError):
    """The object is not there (any more)."""


class ConflictError(ClusterError):
    """Somebody else changed the object first; observe again."""


class ForbiddenError(ClusterError):
    """RBAC does not allow the call; the message names verb and resource."""


class RejectedError(ClusterError):
    """The API server finds the object itself invalid; asking again does not help, changing the ASRPool does."""


class ClusterUnavailableError(ClusterError):
    """The API server did not answer in time, or answered that it cannot now; ask again later."""


class NotLeaderError(AsrpoolOperatorError):
    """The replica lost the lease in the middle of a tick; what is left to do is the new leader's."""


class WorkerUnreachableError(AsrpoolOperatorError):
    """A worker or gateway admin port did not answer in time or refused the token."""
