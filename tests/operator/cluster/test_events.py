"""Events say a transition once."""

from __future__ import annotations

from datetime import UTC, datetime

from asrpool_operator.cluster.events import QUIET_SECONDS, EventFilter, event_manifest


def test_the_same_words_are_said_once_until_the_quiet_time_is_over() -> None:
    events = EventFilter()
    assert events.is_new("ScaledOut", "0 → 1", now=0.0)
    assert not events.is_new("ScaledOut", "0 → 1", now=1.0)
    assert events.is_new("ScaledOut", "1 → 2", now=1.0)
    assert events.is_new("ScaledOut", "0 → 1", now=QUIET_SECONDS + 1)


def test_a_flood_of_different_words_is_bounded() -> None:
    events = EventFilter()
    said = [events.is_new("Failing", f"pod {n}", now=0.0) for n in range(1000)]
    assert sum(said) == 256


def test_the_note_fits_the_apis_limit() -> None:
    about = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "uid": "u"}}
    made = event_manifest(
        about, type_="Normal", reason="R", note="字" * 2000, action="Scale", instance="i", wall=datetime.now(UTC)
    )
    assert len(made["note"]) == 1024
    assert made["regarding"]["uid"] == "u"
