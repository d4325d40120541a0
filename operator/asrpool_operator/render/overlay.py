"""Merge a user's pod template over the rendered one, as `kubectl patch --type strategic` would.

Maps merge key by key, `null` removes a key, lists of named things (containers, volumes, env, …) merge by their key,
and all other lists are replaced. `$patch: replace` and `$patch: delete` work inside maps and keyed items. Items keep
the order they have, new ones follow. The inputs are left as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from asrpool_operator.errors import SpecError

MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "resourceClaims": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
"""List fields of a pod template that Kubernetes merges by key (the API's `patchMergeKey`)."""

_DIRECTIVE: Final = "$patch"
_GRACE: Final = "terminationGracePeriodSeconds"


def pod_template(
    base: Mapping[str, Any], patch: Mapping[str, Any], selector: Mapping[str, str], group: str
) -> dict[str, Any]:
    """The user's pod template over ours; the labels that the pods are selected by stay as they are.

    Raises `SpecError` where the result is no pod template at all, or would cut streams before `drainSeconds` are over.
    What else may be wrong in it, the API server says.
    """
    merged = overlay(base, patch)
    if not isinstance(merged.get("metadata"), dict) or not isinstance(merged["metadata"].get("labels", {}), dict):
        raise SpecError(f"{group}.podTemplate.metadata: must be a map, with a map of labels")
    containers = merged["spec"].get("containers") if isinstance(merged.get("spec"), dict) else None
    if not isinstance(containers, list) or not containers:
        raise SpecError(f"{group}.podTemplate.spec: must be a map that leaves the operator's containers in place")
    _check_grace(merged["spec"], base["spec"].get(_GRACE), group)
    merged["metadata"]["labels"] = merged["metadata"].get("labels", {}) | dict(selector)
    return merged


def _check_grace(spec: dict[str, Any], least: int | None, group: str) -> None:
    """A shorter grace period would end live streams in every scale-in and rollout, whatever `drainSeconds` promises."""
    if least is None:
        return
    grace = spec.setdefault(_GRACE, least)
    if isinstance(grace, int) and grace < least:
        raise SpecError(
            f"{group}.podTemplate.spec.{_GRACE}: {grace} would cut live streams before scaling.drainSeconds is over; "
            f"leave it out, or make it at least {least} (drainSeconds and time to end the last streams)"
        )


def overlay(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `patch` merged over it."""
    if patch.get(_DIRECTIVE) == "replace":
        return _clean(patch)
    merged = copy.deepcopy(dict(base))
    for key, value in patch.items():
        if key == _DIRECTIVE:
            continue
        if value is None or (isinstance(value, Mapping) and value.get(_DIRECTIVE) == "delete"):
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = overlay(below if isinstance(below, Mapping) else {}, value)
        elif _is_keyed(value, MERGE_KEYS.get(key)):
            below = merged.get(key)
            merged[key] = _merge_items(below if _is_keyed(below, MERGE_KEYS[key]) else [], value, MERGE_KEYS[key])
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _is_keyed(items: object, key: str | None) -> TypeGuard[list[Mapping[str, Any]]]:
    """Whether this is a list of things that each carry the key."""
    if key is None or not isinstance(items, list):
        return False
    return all(isinstance(item, Mapping) and key in item for item in items)


def _merge_items(base: Sequence[Any], patch: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    merged = copy.deepcopy(list(base))
    for item in patch:
        place = next((index for index, old in enumerate(merged) if old.get(key) == item[key]), None)
        if item.get(_DIRECTIVE) == "delete":
            if place is not None:
                del merged[place]
        elif place is None:
            merged.append(_clean(item))
        else:
            merged[place] = overlay(merged[place], item)
    return merged


def _clean(value: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without the merge directive."""
    return {key: copy.deepcopy(field) for key, field in value.items() if key != _DIRECTIVE and field is not None}
