"""Names: the enrolled first, then the session's own, as utterances come."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.engine.speaker.roster import MAX_SPEAKERS, Roster, SessionSpeakers
from asrpool_worker.errors import SettingsError


def at(degrees: float) -> FloatArray:
    """A direction in a plane of a larger space."""
    vector = np.zeros(8, np.float32)
    vector[:2] = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return vector


def names(speakers: SessionSpeakers, *degrees: float) -> list[str]:
    return [speakers.label(at(angle)).name for angle in degrees]


def test_the_enrolled_are_called_by_name() -> None:
    speakers = SessionSpeakers(Roster({"anna": at(0), "ben": at(60)}, threshold=0.8))
    label = speakers.label(at(20))
    assert label.name == "anna"
    assert label.score == pytest.approx(math.cos(math.radians(20)))
    assert names(speakers, 50, 20, 90, 180) == ["ben", "anna", "ben", "speaker-1"]


@pytest.mark.parametrize(("degrees", "name"), [(36.8, "anna"), (36.95, "speaker-1")], ids=["just near", "just too far"])
def test_the_threshold_is_a_cosine(degrees: float, name: str) -> None:
    assert SessionSpeakers(Roster({"anna": at(0)}, threshold=0.8)).label(at(degrees)).name == name


def test_unknown_speakers_are_numbered_as_they_come() -> None:
    speakers = SessionSpeakers(Roster({}, threshold=0.8))
    assert names(speakers, 0, 90, 10, 100, 200, 80) == ["speaker-1", "speaker-2"] * 2 + ["speaker-3", "speaker-2"]


def test_somebody_new_has_score_one_and_somebody_known_their_cosine() -> None:
    speakers = SessionSpeakers(Roster({}, threshold=0.5))
    assert speakers.label(at(0)).score == 1.0
    assert speakers.label(at(30)).score == pytest.approx(math.cos(math.radians(30)), abs=1e-6)


def test_a_centroid_follows_its_speaker() -> None:
    """40 degrees is too far from 0, but not from the mean of 0, 30 and 30."""
    speakers = SessionSpeakers(Roster({}, threshold=math.cos(math.radians(35))))
    assert names(speakers, 0, 30, 30, 45) == ["speaker-1"] * 4
    assert names(SessionSpeakers(Roster({}, threshold=math.cos(math.radians(35)))), 0, 45) == ["speaker-1", "speaker-2"]


def test_sessions_know_nothing_of_each_other() -> None:
    roster = Roster({}, threshold=0.8)
    one, other = SessionSpeakers(roster), SessionSpeakers(roster)
    assert names(one, 0, 90) == ["speaker-1", "speaker-2"]
    assert names(other, 90) == ["speaker-1"]


def test_what_a_session_keeps_is_bounded() -> None:
    speakers = SessionSpeakers(Roster({}, threshold=1.0))
    rng = np.random.default_rng(1)
    found = set()
    for _ in range(4 * MAX_SPEAKERS):
        vector = rng.normal(size=8).astype(np.float32)
        found.add(speakers.label(vector / np.linalg.norm(vector)).name)
    assert found == {f"speaker-{number + 1}" for number in range(MAX_SPEAKERS)}
    assert len(speakers._sums) == MAX_SPEAKERS


@given(st.lists(st.floats(0.0, 360.0), min_size=1, max_size=40), st.floats(-0.5, 1.0))
def test_numbers_have_no_gaps_and_a_repetition_keeps_its_label(degrees: list[float], threshold: float) -> None:
    speakers = SessionSpeakers(Roster({}, threshold))
    seen = 0
    for angle in degrees:
        number = int(speakers.label(at(angle)).name.removeprefix("speaker-"))
        assert 1 <= number <= seen + 1
        seen = max(seen, number)
    fresh = SessionSpeakers(Roster({}, min(threshold, 0.99)))
    assert names(fresh, degrees[0], degrees[0]) == ["speaker-1", "speaker-1"]


def test_a_label_does_not_change_the_embedding_given() -> None:
    speakers = SessionSpeakers(Roster({}, threshold=0.0))
    first = at(0)
    speakers.label(first)
    speakers.label(at(30))
    assert np.array_equal(first, at(0))


@pytest.mark.parametrize(
    ("enrolled", "threshold", "words"),
    [
        ({"speaker-2": at(0)}, 0.3, "speaker-2"),
        ({"anna": at(0) * 2}, 0.3, "anna"),
        ({"anna": at(0) * np.float32("nan")}, 0.3, "anna"),
        ({}, 1.5, "threshold 1.5"),
        ({}, float("nan"), "threshold nan"),
    ],
    ids=["a name of ours", "not of unit length", "not a number", "no cosine", "threshold nan"],
)
def test_a_roster_that_cannot_work_is_refused(enrolled: dict[str, FloatArray], threshold: float, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Roster(enrolled, threshold)
