"""Which streams go into the next step."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_worker.engine.pace import Pace
from asrpool_worker.engine.scheduler import Batch, Job, Stage, next_batch, oldest_ready

ROWS = {Stage.VAD: 8, Stage.ONLINE: 3, Stage.OFFLINE: 2, Stage.SPEAKER: 2, Stage.PUNC: 4}


def job(stream: str, stage: Stage, ready: float, bucket: object = "a", frames: int = 0) -> Job[str]:
    return Job(stream, stage, bucket, ready, frames)


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        pytest.param([], [], id="nothing to do"),
        pytest.param([job("lone", Stage.ONLINE, 5.0)], ["lone"], id="a lone stream does not wait for others"),
        pytest.param(
            [job("b", Stage.ONLINE, 2.0), job("a", Stage.ONLINE, 1.0), job("c", Stage.ONLINE, 3.0)],
            ["a", "b", "c"],
            id="oldest first",
        ),
        pytest.param(
            [job(name, Stage.ONLINE, number) for number, name in enumerate("abcd")],
            ["a", "b", "c"],
            id="no more rows than allowed",
        ),
        pytest.param(
            [job("a", Stage.ONLINE, 1.0, "x"), job("b", Stage.ONLINE, 1.1, "y"), job("c", Stage.ONLINE, 1.2, "x")],
            ["a", "c"],
            id="one shape a step",
        ),
        pytest.param(
            [job("final", Stage.OFFLINE, 1.0), job("partial", Stage.ONLINE, 1.0)],
            ["partial"],
            id="a partial goes before a final of its age",
        ),
        pytest.param(
            [job("final", Stage.OFFLINE, 1.0), job("partial", Stage.ONLINE, 9.0)],
            ["final"],
            id="an old final is not starved by partials",
        ),
        pytest.param(
            [job("a", Stage.OFFLINE, 1.0, frames=500), job("b", Stage.OFFLINE, 1.1, frames=500)],
            ["a", "b"],
            id="second passes share a step up to a number of frames",
        ),
        pytest.param(
            [job("a", Stage.OFFLINE, 1.0, frames=400), job("b", Stage.OFFLINE, 1.1, frames=501)],
            ["a"],
            id="padding counts: the longest row's frames for each",
        ),
        pytest.param(
            [job("long", Stage.OFFLINE, 1.0, frames=1_500), job("short", Stage.OFFLINE, 1.1, frames=1)],
            ["long"],
            id="a long second pass runs alone",
        ),
        pytest.param(
            [job("vad", Stage.VAD, 1.0), job("partial", Stage.ONLINE, 1.0)],
            ["vad"],
            id="end-pointing first: it is quick",
        ),
    ],
)
def test_next_batch(jobs: list[Job[str]], expected: list[str]) -> None:
    assert [chosen.stream for chosen in next_batch(jobs, ROWS, Pace(), 0.0).jobs] == expected


JOBS = st.lists(
    st.builds(
        Job,
        stream=st.uuids().map(str),
        stage=st.sampled_from(Stage),
        bucket=st.sampled_from(["small", "large"]),
        ready_seconds=st.floats(0, 100),
    ),
    max_size=30,
    unique_by=lambda job: job.stream,
)


@settings(deadline=None)
@given(JOBS)
def test_a_batch_is_uniform_bounded_and_begins_with_the_earliest_deadline(jobs: list[Job[str]]) -> None:
    batch = next_batch(jobs, ROWS, Pace(), 0.0).jobs
    assert bool(batch) == bool(jobs)
    if batch:
        assert batch[0].deadline_seconds == min(job.deadline_seconds for job in jobs)
        assert len({(job.stage, job.bucket) for job in batch}) == 1
        assert len(batch) <= ROWS[batch[0].stage]
        assert [job.deadline_seconds for job in batch] == sorted(job.deadline_seconds for job in batch)


@settings(deadline=None)
@given(JOBS, st.integers(1, 40))
def test_every_job_runs_in_the_end_also_under_constant_load(jobs: list[Job[str]], rivals: int) -> None:
    """Newcomers keep coming, each step brings as many as it takes; still no job waits for ever."""
    waiting = list(jobs)
    for step in range(len(jobs) * 3 + 400):
        batch = next_batch(waiting, ROWS, Pace(), 0.0).jobs
        waiting = [job for job in waiting if job not in batch]
        waiting += [
            job(f"rival {step} {number}", Stage.ONLINE, 100.0 + step)
            for number in range(min(rivals, ROWS[Stage.ONLINE]))
        ]
        if not set(jobs) & set(waiting):
            return
    assert not set(jobs) & set(waiting)


def test_the_oldest_ready_job_is_the_lag() -> None:
    assert oldest_ready([job("a", Stage.OFFLINE, 3.0), job("b", Stage.ONLINE, 2.0)]) == 2.0
    assert oldest_ready([]) is None


def learnt(stage: Stage, fixed: float, each: float, bucket: object = "a", frames: int = 0) -> Pace:
    """A pace that has seen steps of one to six rows."""
    pace = Pace()
    for rows in (1, 2, 4, 6, 1, 2, 4, 6, 3):
        jobs = [job(str(number), stage, 0.0, bucket, frames) for number in range(rows)]
        units = Batch(jobs).units
        pace.ran(Batch(jobs).kind, units, fixed + each * units)
    return pace


def test_a_step_holds_what_this_machine_works_off_in_a_moment() -> None:
    """0.1 s a row: two rows are as much as may keep others waiting."""
    jobs = [job(name, Stage.ONLINE, 9.0) for name in "abc"]
    assert len(next_batch(jobs, ROWS, learnt(Stage.ONLINE, 0.05, 0.1), 9.1).jobs) == 2
    assert len(next_batch(jobs, ROWS, learnt(Stage.ONLINE, 0.05, 0.01), 9.1).jobs) == 3
    other_shape = learnt(Stage.ONLINE, 0.05, 0.1, bucket="b")
    assert len(next_batch(jobs, ROWS, other_shape, 9.1).jobs) == 3, "each shape has a pace of its own"
    assert len(next_batch(jobs, ROWS, learnt(Stage.ONLINE, 0.05, 0.1), 9.5).jobs) == 3, (
        "late: the most is done in full steps"
    )


def test_second_passes_are_bounded_by_frames() -> None:
    jobs = [job(name, Stage.OFFLINE, number, frames=100) for number, name in enumerate("ab")]
    assert len(next_batch(jobs, ROWS, learnt(Stage.OFFLINE, 0.01, 0.002, frames=50), 9.0).jobs) == 1
    assert len(next_batch(jobs, ROWS, learnt(Stage.OFFLINE, 0.01, 0.001, frames=50), 9.0).jobs) == 2


def live(name: str, ready: float) -> Job[str]:
    return Job(name, Stage.ONLINE, "a", ready, period_seconds=0.6)


@pytest.mark.parametrize(
    ("live_streams", "others", "expected"),
    [
        pytest.param(1, [], 0.0, id="a lone stream"),
        pytest.param(10, [], 0.0, id="nobody is expected in that time"),
        pytest.param(20, [], 0.03, id="somebody is"),
        pytest.param(20, [job("vad", Stage.VAD, 5.0)], 0.0, id="other work is ready: it would be held up"),
    ],
)
def test_a_step_waits_for_rows_no_longer_than_its_fixed_cost(
    live_streams: int, others: list[Job[str]], expected: float
) -> None:
    """40 ms are paid for each step; of these the first row has waited 10."""
    pace = learnt(Stage.ONLINE, 0.04, 0.01)
    batch = next_batch([live("first", 1.0), *others], ROWS, pace, 1.01, live_streams)
    assert batch.wait_seconds == pytest.approx(expected, abs=1e-3)
    assert next_batch([live("first", 1.0)], ROWS, pace, 1.05, live_streams).wait_seconds == 0.0, "it has waited enough"


def test_nothing_waits_before_anything_is_known() -> None:
    assert next_batch([live("first", 1.0)], ROWS, Pace(), 1.0, 40).wait_seconds == 0.0
