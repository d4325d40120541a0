"""Pure scaling rules and the `decide()` that composes them."""

from asrpool_operator.policy.decide import decide
from asrpool_operator.policy.decision import Decision, Memory

__all__ = ["Decision", "Memory", "decide"]
