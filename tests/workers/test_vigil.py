"""When a worker counts as silent or deaf, and when it does not."""

from __future__ import annotations

from dataclasses import replace

from swarm_workers.limits import Limits
from swarm_workers.poolstate import PoolState, current
from swarm_workers.vigil import Vigil

LIMITS = Limits(silent_s=15.0, starting_s=60.0, deaf_s=20.0)
WORKER = PoolState(
    pool="p", host="h", pid=7, status="running", wanted=1, concurrency=1, active=0, reserved=0, done=5, queued=0,
    started_s=1.0, beat_s=100.0, reconnects=0, outages=0, fault="", log="",
)  # fmt: skip
DEAD_SILENCE = replace(WORKER, status="silent", beat_s=0.0, done=0)


def watched(state: PoolState = WORKER) -> Vigil:
    """A vigil that has seen the worker well at time 0."""
    vigil = Vigil(LIMITS)
    for _ in range(2):
        assert vigil.look(state, 0, 0.0) == ""
    return vigil


def test_a_worker_without_a_heartbeat_is_silent_after_the_limit() -> None:
    vigil = watched()
    assert vigil.look(DEAD_SILENCE, 9, 15.0) == ""
    assert vigil.look(DEAD_SILENCE, 9, 15.1) == "no heartbeat for 15 s, though its process lives"


def test_one_that_starts_has_longer_and_another_process_begins_anew() -> None:
    vigil = watched(DEAD_SILENCE)
    assert vigil.look(DEAD_SILENCE, 0, 60.0) == ""
    other = replace(DEAD_SILENCE, pid=8)
    assert vigil.look(other, 0, 61.0) == ""
    assert vigil.look(other, 0, 121.0) == ""
    assert "no heartbeat" in vigil.look(other, 0, 121.1)


def test_what_could_not_be_seen_is_forgiven() -> None:
    vigil = watched()
    vigil.look(WORKER, 3, 10.0)
    vigil.forgive(500.0)
    assert vigil.look(DEAD_SILENCE, 3, 515.0) == ""
    assert vigil.look(replace(WORKER, beat_s=600.0), 3, 516.0) == ""


def beating(second: float, **change: object) -> PoolState:
    return replace(WORKER, beat_s=100.0 + second, **change)  # type: ignore[arg-type]  # one field


def test_an_idle_worker_with_messages_waiting_is_deaf_after_the_limit() -> None:
    vigil = watched()
    assert [vigil.look(beating(t), 2, t) for t in (5.0, 15.0, 25.0)] == ["", "", ""]
    assert "taken nothing for 21 s, with 2 messages waiting" in vigil.look(beating(26.0), 2, 26.0)


def test_one_that_takes_no_more_tasks_is_deaf_without_messages_too() -> None:
    vigil = watched()
    assert vigil.look(beating(1.0, status="draining"), 0, 1.0) == ""
    assert "deaf" in vigil.look(beating(22.0, status="draining"), 0, 22.0)


def test_a_worker_that_is_busy_or_moves_or_is_not_waited_for_is_not_deaf() -> None:
    for change, queued in (({"active": 1}, 9), ({}, 0)):
        vigil = watched()
        assert not any(vigil.look(beating(t, **change), queued, t) for t in (10.0, 20.0, 40.0, 80.0))
    vigil = watched()
    assert not any(vigil.look(beating(t, done=int(t)), 9, t) for t in (10.0, 20.0, 40.0, 80.0))


def test_of_two_workers_the_one_that_works_or_is_to_work_serves_the_pool() -> None:
    new, old = replace(WORKER, pid=8, slot=1, started_s=2.0), WORKER
    assert current([]) is None
    assert current([old, new]) is new
    assert current([replace(old, status="draining"), replace(new, status="silent")]).pid == 8  # type: ignore[union-attr]
    assert current([old, replace(new, status="silent")]) is old
    assert current([replace(old, status="dead"), replace(new, status="asleep")]).pid == 8  # type: ignore[union-attr]
