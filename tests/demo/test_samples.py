"""The demo's own arithmetic: what it reports is only as honest as this."""

from demo.samples import PodSample, PodState, Sample, count, seconds_until_replicas


def pod(name: str, state: PodState = PodState.READY, active: int | None = 0, capacity: int | None = 4) -> PodSample:
    return PodSample(name, state, ready=state is not PodState.STARTING, active=active, capacity=capacity)


def test_a_pod_over_its_capacity_counts_until_the_next_sample() -> None:
    samples = [
        Sample(0.0, 1, (pod("a", active=4),)),
        Sample(1.0, 1, (pod("a", active=5),)),
        Sample(1.5, 1, (pod("a", active=4),)),
    ]
    assert count(samples).over_capacity_seconds == 0.5


def test_drained_and_undrained_pods_are_told_apart() -> None:
    samples = [
        Sample(0.0, 2, (pod("a"), pod("b"))),
        Sample(1.0, 2, (pod("a", PodState.DRAINING), pod("b", PodState.DRAINING))),
        Sample(2.0, 2, (pod("a"), pod("b", PodState.ENDING))),
    ]
    assert (count(samples).drained_pods, count(samples).undrained) == (2, 1)


def test_ready_is_counted_at_the_same_moment_only() -> None:
    samples = [Sample(0.0, 2, (pod("a"), pod("b", PodState.STARTING))), Sample(1.0, 1, (pod("b"),))]
    assert (count(samples).max_ready, count(samples).final_replicas) == (1, 1)


def test_scale_out_is_counted_from_the_burst() -> None:
    samples = [Sample(0.0, 1), Sample(5.0, 1), Sample(6.5, 3)]
    assert seconds_until_replicas(samples, 5.0, above=1) == 1.5
    assert seconds_until_replicas(samples, 7.0, above=1) is None


def test_pods_that_show_no_sessions_are_counted_among_the_looks() -> None:
    seen = (pod("a"), pod("b", active=None), pod("c", PodState.STARTING, active=None), pod("d"))
    assert count([Sample(0.0, 4, seen)]).unreadable_share == 1 / 3


def test_nothing_seen_is_nothing_counted() -> None:
    assert count([]).max_ready == 0
