"""Who gets a place: DESIGN's invariants 2 and 3 as a table of moments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool_worker.server.admission import MAX_HELD_IDS, Admission, Ended, Place, Reason, Refused
from asrpool_worker.server.worker import Worker
from asrpool_worker.session.funasr import Limits


def book(capacity: int = 2, resume_seconds: float = 60.0) -> Admission:
    admission = Admission(capacity, resume_seconds)
    admission.ready = True
    return admission


def enter(admission: Admission, session_id: str, now: float) -> Place:
    place = admission.admit(session_id, now)
    assert isinstance(place, Place)
    return place


def refusal(admission: Admission, session_id: str, now: float) -> Reason | None:
    answer = admission.admit(session_id, now)
    if isinstance(answer, Place):
        admission.release(answer, now)
        return None
    assert answer.retry_after_seconds >= 1
    assert answer.message
    return answer.reason


def test_nobody_enters_before_the_models_are_loaded() -> None:
    admission = Admission(2, 60)
    assert refusal(admission, "a", 0) is Reason.STARTING


def test_never_more_than_the_configured_capacity_not_even_those_who_come_back() -> None:
    admission = book(capacity=2)
    admission.release(enter(admission, "a", 0), 1)
    enter(admission, "b", 2)
    enter(admission, "c", 2)
    assert refusal(admission, "a", 3) is Reason.FULL


def test_a_drain_keeps_newcomers_out_and_lets_known_ids_in_until_their_time_is_over() -> None:
    admission = book(resume_seconds=60)
    admission.release(enter(admission, "a", 0), 10)
    admission.drain(11)
    assert refusal(admission, "new", 12) is Reason.DRAINING
    assert refusal(admission, "a", 69.9) is None
    admission.drain(80)
    assert admission.draining_since == 11
    assert refusal(admission, "a", 129.8) is None, "its time counts from the end of its last session, at 69.9"
    assert refusal(admission, "a", 189.9) is Reason.DRAINING


def test_undrain_takes_newcomers_again() -> None:
    admission = book()
    admission.drain(1)
    admission.undrain()
    assert not admission.draining
    assert refusal(admission, "new", 2) is None


def test_an_id_of_a_live_session_may_enter_beside_itself_while_draining() -> None:
    admission = book()
    enter(admission, "a", 0)
    admission.drain(1)
    assert isinstance(admission.admit("a", 2), Place)
    assert admission.active == 2


def test_an_id_that_no_client_can_bring_back_is_not_held() -> None:
    admission = book()
    place = admission.admit("made here", 0, resumable=False)
    assert isinstance(place, Place)
    admission.release(place, 1)
    assert admission.held_ids(1) == 0
    admission.drain(2)
    assert isinstance(admission.admit("made here", 3, resumable=False), Refused)


def test_a_lowered_capacity_ends_nobody_and_lets_known_ids_up_to_the_configured_one() -> None:
    admission = book(capacity=4)
    admission.release(enter(admission, "known", 0), 1)
    for number in range(3):
        enter(admission, str(number), 1)
    admission.set_capacity(2)
    assert (admission.active, admission.capacity) == (3, 2)
    assert refusal(admission, "new", 2) is Reason.FULL
    assert refusal(admission, "known", 2) is None


@pytest.mark.parametrize(("asked", "got"), [(0, 0), (3, 3), (4, 4), (100, 4), (-5, 0)])
def test_capacity_is_never_raised_above_what_was_configured(asked: int, got: int) -> None:
    admission = book(capacity=4)
    admission.set_capacity(asked)
    assert admission.capacity == got


def test_held_ids_are_those_that_left_and_may_still_come_back() -> None:
    admission = book(capacity=3, resume_seconds=60)
    first, second = enter(admission, "a", 0), enter(admission, "b", 0)
    admission.release(first, 10)
    admission.release(second, 20)
    assert admission.held_ids(30) == 2
    enter(admission, "a", 40)
    assert admission.held_ids(40) == 1, "a is live again"
    assert admission.held_ids(80) == 0


def test_once_closed_nobody_enters_not_even_those_who_come_back() -> None:
    admission = Admission(2, 60.0)
    admission.ready = True
    place = admission.admit("a", 0.0)
    assert isinstance(place, Place)
    admission.release(place, 1.0)
    admission.drain(2.0)
    assert isinstance(admission.admit("a", 3.0), Place)
    admission.close()
    assert admission.admit("a", 4.0) == Refused(Reason.DRAINING, 1)


def test_a_process_that_ends_closes_the_moment_it_is_empty_and_not_before() -> None:
    worker = Worker("p", Admission(2, 60.0), Limits())
    worker.admission.ready = True
    first = worker.admission.admit("a", 0.0)
    second = worker.admission.admit("b", 0.0)
    assert isinstance(first, Place)
    assert isinstance(second, Place)
    worker.terminate(1.0)
    worker.release(first, "ok", 2.0)
    back = worker.admission.admit("a", 3.0)
    assert isinstance(back, Place), "others are live: a known device may come back"
    worker.release(second, "ok", 4.0)
    worker.release(back, "ok", 4.0)
    assert isinstance(worker.admission.admit("a", 4.0), Refused)


def test_without_a_resume_time_nobody_is_held() -> None:
    admission = book(resume_seconds=0)
    admission.release(enter(admission, "a", 0), 1)
    assert admission.held_ids(1) == 0


def test_held_ids_are_bounded() -> None:
    admission = book(capacity=1)
    for number in range(MAX_HELD_IDS + 5):
        admission.release(enter(admission, str(number), 0), 0)
    assert admission.held_ids(0) == MAX_HELD_IDS


def test_ages_and_sums_of_lengths() -> None:
    admission = book(capacity=3)
    first, _second = enter(admission, "a", 0), enter(admission, "b", 5)
    assert admission.ages_seconds(10) == [10, 5]
    assert admission.release(first, 10) == 10
    assert admission.release(enter(admission, "c", 10), 14) == 4
    assert admission.ended == Ended(2, 14, 116)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["admit", "release", "drain", "undrain", "lower"]), st.integers(0, 5), st.floats(0, 30)),
    max_size=60,
)


@given(OPERATIONS)
def test_whatever_happens_the_capacity_holds_and_newcomers_respect_drain(
    operations: list[tuple[str, int, float]],
) -> None:
    admission, now = book(capacity=3, resume_seconds=20), 0.0
    inside: list[Place] = []
    left: dict[str, float] = {}
    for name, number, passed in operations:
        now += passed
        session_id = str(number)
        if name == "admit":
            known = session_id in {place.session_id for place in inside} or now - left.get(session_id, -100) < 20
            answer = admission.admit(session_id, now)
            if isinstance(answer, Place):
                assert known or not admission.draining
                assert known or len(inside) < admission.capacity
                inside.append(answer)
            else:
                assert len(inside) >= 3 or (not known and (admission.draining or len(inside) >= admission.capacity))
        elif name == "release" and inside:
            place = inside.pop(number % len(inside))
            left[place.session_id] = now
            admission.release(place, now)
        elif name == "drain":
            admission.drain(now)
        elif name == "undrain":
            admission.undrain()
        elif name == "lower":
            admission.set_capacity(number)
        assert admission.active == len(inside) <= 3
