"""What can end a pool's task."""

from __future__ import annotations

from asrpool_operator.errors import AsrpoolOperatorError


class PoolGoneError(AsrpoolOperatorError):
    """The ASRPool was deleted (or made anew under another uid): its task ends."""
