"""Errors by whose fault they are, so that a log line or a condition says who has to act."""

from __future__ import annotations


class AsrpoolOperatorError(Exception):
    """Base of all errors this package raises on purpose."""


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


class WorkerUnreachableError(AsrpoolOperatorError):
    """A worker or gateway admin port did not answer in time or refused the token."""
