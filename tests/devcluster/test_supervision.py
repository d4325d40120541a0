"""A component's life as a sequence of moments and events."""

from __future__ import annotations

from devcluster.supervision import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STEADY_SECONDS, Act, Unit


def started(now: float = 0.0, fingerprint: str = "a") -> Unit:
    unit = Unit("etcd")
    unit.start(("/bin/etcd",), {}, "/dev/null", fingerprint, now)
    assert unit.due(now) is Act.SPAWN
    unit.pid, unit.started_at = 42, now
    return unit


def test_a_running_component_is_left_alone_when_started_again() -> None:
    unit = started()
    assert unit.start(("/bin/etcd",), {}, "/dev/null", "a", 5.0) is False
    assert unit.due(5.0) is Act.NOTHING


def test_another_fingerprint_ends_the_old_process_and_spawns_at_once() -> None:
    unit = started()
    assert unit.start(("/bin/etcd", "-v"), {}, "/dev/null", "b", 5.0) is True
    assert unit.due(5.0) is Act.TERMINATE
    unit.term_due = False
    assert unit.due(5.1) is Act.NOTHING
    unit.exited("exit 0", 5.2)
    assert unit.due(5.2) is Act.SPAWN
    assert unit.restarts == 0


def test_pauses_double_up_to_a_limit_and_start_anew_after_a_steady_run() -> None:
    unit, now, pauses = started(), 0.0, []
    for _ in range(6):
        unit.exited("exit 1", now)
        pauses.append(unit.spawn_at - now)
        assert unit.due(now) is Act.NOTHING
        assert unit.next_moment() == unit.spawn_at
        now = unit.spawn_at
        assert unit.due(now) is Act.SPAWN
        unit.pid, unit.started_at = 42, now
    assert pauses == [0.5, 1.0, 2.0, 4.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    unit.exited("SIGKILL", now + STEADY_SECONDS)
    assert unit.spawn_at == now + STEADY_SECONDS + FIRST_PAUSE_SECONDS


def test_start_cuts_the_pause_short() -> None:
    unit = started()
    unit.exited("SIGKILL", 1.0)
    assert unit.due(1.0) is Act.NOTHING
    unit.start(("/bin/etcd",), {}, "/dev/null", "a", 1.1)
    assert unit.due(1.1) is Act.SPAWN


def test_stop_is_gentle_then_not_and_it_stays_down() -> None:
    unit = started()
    unit.stop(grace_seconds=3.0, now=10.0)
    assert unit.due(10.0) is Act.TERMINATE
    unit.term_due = False
    assert unit.due(12.9) is Act.NOTHING
    assert unit.due(13.0) is Act.KILL
    unit.exited("SIGKILL", 13.0)
    assert unit.due(1000.0) is Act.NOTHING
    assert unit.next_moment() is None


def test_stop_then_start_while_it_still_ends_spawns_it_again() -> None:
    unit = started()
    unit.stop(grace_seconds=3.0, now=10.0)
    unit.start(("/bin/etcd",), {}, "/dev/null", "a", 10.5)
    unit.exited("exit 0", 11.0)
    assert unit.due(11.0) is Act.SPAWN
