"""Errors by whose fault they are: a reader of a log or a client message must know who has to act, and how."""

from __future__ import annotations


class AsrpoolWorkerError(Exception):
    """Base of all errors this package raises on purpose."""


class ClientError(AsrpoolWorkerError):
    """The client sent what cannot be used; ends that client's session only."""


class OptionError(ClientError):
    """An option of the stream is out of range or not served by the loaded models."""


class ServerError(AsrpoolWorkerError):
    """The worker cannot do its work; the operator or the person running it must act."""


class ModelError(ServerError):
    """A model directory is missing, incomplete or cannot be loaded; the message names the path and what to do."""


class EngineDiedError(ServerError):
    """The engine's thread ended, or its device gives nothing any more; the process must be started anew."""


class SettingsError(ServerError):
    """A flag or environment variable is wrong; the message names it."""
