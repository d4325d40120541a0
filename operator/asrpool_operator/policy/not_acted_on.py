"""Spec fields that are accepted but that this version does not act on: named in a condition, never ignored in silence."""

from __future__ import annotations

from collections.abc import Callable

from asrpool_operator.api import ASRPoolSpec, Engine


def _names_a_hub_model_for_onnx(spec: ASRPoolSpec) -> bool:
    models = spec.models
    return spec.worker.engine is Engine.ONNX and any(
        model is not None and not model.startswith(("/", "."))
        for model in (models.online, models.offline, models.vad, models.punc, models.speaker)
    )


def _has_no_finals(spec: ASRPoolSpec) -> bool:
    models = spec.models
    return models.offline is None and (models.punc is not None or models.speaker is not None or models.itn)


_FIELDS: tuple[tuple[str, Callable[[ASRPoolSpec], bool]], ...] = (
    (
        (
            "model names in spec.models with worker.engine onnx, which loads exported model directories only (give "
            "their paths, or set worker.engine to torch)"
        ),
        _names_a_hub_model_for_onnx,
    ),
    (
        "spec.models.punc, speaker and itn without spec.models.offline, whose final results they act on",
        _has_no_finals,
    ),
    (
        "spec.sessions.perPod: auto (a stated default is used)",
        lambda spec: spec.sessions.per_pod == "auto",
    ),
    ("spec.scaling.schedules", lambda spec: bool(spec.scaling.schedules)),
    ("spec.scaling.forecast", lambda spec: spec.scaling.forecast is not None and spec.scaling.forecast.enabled),
    (
        "spec.scaling.budget (only the price is used, for status.cost)",
        lambda spec: (
            spec.scaling.budget is not None
            and any(
                limit is not None
                for limit in (
                    spec.scaling.budget.max_per_hour,
                    spec.scaling.budget.max_per_day,
                    spec.scaling.budget.max_per_month,
                )
            )
        ),
    ),
    ("spec.gateway.auth", lambda spec: spec.gateway.auth is not None),
    ("spec.gateway.rateLimit", lambda spec: spec.gateway.rate_limit is not None),
    ("spec.gateway.tls", lambda spec: spec.gateway.tls is not None),
)


def fields_not_acted_on(spec: ASRPoolSpec) -> tuple[str, ...]:
    """Paths of the fields that are set and have no effect yet."""
    return tuple(path for path, is_set in _FIELDS if is_set(spec))
