"""HPA `behavior`: stabilization windows, tolerance, and policies on how much may change within a period.

The words and the arithmetic are the HPA's (autoscaling/v2; kubernetes pkg/controller/podautoscaler/horizontal.go), with
two defaults of ours: scale-in looks back 60 s, since an un-drain costs nothing, and adding pods is not limited.
"""

from __future__ import annotations

import math

from asrpool_operator.api import Behavior, PolicyType, ScalingPolicy, ScalingRules, SelectPolicy
from asrpool_operator.policy.decision import Memory, Recommendation, ReplicaChange

SCALE_DOWN_WINDOW_SECONDS = 60
SCALE_UP_WINDOW_SECONDS = 0
LONGEST_SECONDS = 3600.0
MOST_KEPT = 600


def remember_recommendation(memory: Memory, current: int, wish: int, now: float) -> Memory:
    """Note the unlimited wish. A memory that starts empty begins with the pods there are: a restart is no reason to scale in."""
    steps = list(memory.recommendations) or [Recommendation(unix_seconds=now, replicas=current)]
    if steps[-1].replicas != wish:
        steps.append(Recommendation(unix_seconds=now, replicas=wish))
    while len(steps) > MOST_KEPT or (len(steps) > 1 and steps[1].unix_seconds < now - LONGEST_SECONDS):
        del steps[0]
    return memory.model_copy(update={"recommendations": tuple(steps)})


def stabilized(behavior: Behavior, memory: Memory, current: int, wish: int, now: float) -> int:
    """Out: no more than the lowest wish of its window; in: no fewer than the highest of its window."""
    if wish > current:
        window = _window(behavior.scale_up, SCALE_UP_WINDOW_SECONDS)
        return max(current, min(wish, *_held_since(memory, now - window)))
    if wish < current:
        window = _window(behavior.scale_down, SCALE_DOWN_WINDOW_SECONDS)
        return min(current, max(wish, *_held_since(memory, now - window)))
    return wish


def tolerated(behavior: Behavior, current: int, wish: int) -> int:
    """The pods there are, where the wish differs by less than the tolerance of its direction."""
    tolerance = (behavior.scale_up if wish > current else behavior.scale_down).tolerance
    if tolerance is None or current == 0 or wish == 0:
        return wish
    return current if abs(wish - current) <= tolerance * current else wish


def rate_limited(behavior: Behavior, memory: Memory, current: int, wish: int, now: float) -> int:
    """The wish as far as the policies let it go now. From zero one pod may always come."""
    if wish > current:
        return min(wish, max(_most(behavior.scale_up, memory, current, now), 1 if current == 0 else 0))
    if wish < current:
        return max(wish, _least(behavior.scale_down, memory, current, now))
    return wish


def remember_change(memory: Memory, delta: int, now: float) -> Memory:
    """Note that pods were added or sent to drain."""
    kept = tuple(change for change in memory.changes if now - change.unix_seconds < LONGEST_SECONDS)
    if delta:
        kept = (*kept, ReplicaChange(unix_seconds=now, delta=delta))
    return memory.model_copy(update={"changes": kept[-MOST_KEPT:]})


def _window(rules: ScalingRules, default_seconds: int) -> int:
    return default_seconds if rules.stabilization_window_seconds is None else rules.stabilization_window_seconds


def _held_since(memory: Memory, since: float) -> list[int]:
    """Every wish that held at some moment from `since` on: the last before it, and all after. The newest always does."""
    steps = memory.recommendations
    return [
        step.replicas
        for step, following in zip(steps, (*steps[1:], None), strict=True)
        if following is None or following.unix_seconds > since
    ]


def _most(rules: ScalingRules, memory: Memory, current: int, now: float) -> int:
    if rules.select_policy is SelectPolicy.DISABLED:
        return current
    limits = [_limit_up(policy, _at_period_start(policy, memory, current, now)) for policy in rules.policies]
    if not limits:
        return 2**31
    return max(current, max(limits) if rules.select_policy is SelectPolicy.MAX else min(limits))


def _least(rules: ScalingRules, memory: Memory, current: int, now: float) -> int:
    if rules.select_policy is SelectPolicy.DISABLED:
        return current
    limits = [_limit_down(policy, _at_period_start(policy, memory, current, now)) for policy in rules.policies]
    if not limits:
        return 0
    return min(current, min(limits) if rules.select_policy is SelectPolicy.MAX else max(limits))


def _at_period_start(policy: ScalingPolicy, memory: Memory, current: int, now: float) -> int:
    since = now - policy.period_seconds
    return current - sum(change.delta for change in memory.changes if change.unix_seconds > since)


def _limit_up(policy: ScalingPolicy, start: int) -> int:
    if policy.type is PolicyType.PODS:
        return start + policy.value
    return math.ceil(start * (1 + policy.value / 100))


def _limit_down(policy: ScalingPolicy, start: int) -> int:
    if policy.type is PolicyType.PODS:
        return start - policy.value
    return math.floor(start * (1 - policy.value / 100))
