"""How many processes a pool is to have, second by second."""

from __future__ import annotations

from collections.abc import Iterator

from swarm_workers.limits import Limits
from swarm_workers.scaling import Demand, Load, Scaler
from swarm_workers.size import PoolSize

LIMITS = Limits(grow_s=1.0, quiet_s=30.0)
WIDE = PoolSize(min=0, max=8, idle_s=300.0)


class Pool:
    """A pool that does at once what is decided."""

    def __init__(self, size: PoolSize, wanted: int) -> None:
        self._scaler, self._size, self.wanted, self._now = Scaler(LIMITS), size, wanted, 0.0
        self.why = ""

    def after(self, seconds: float, waiting: int = 0, oldest_s: float = 0.0, busy: int = 0, done: int = 0) -> int:
        self._now += seconds
        load = Load(wanted=self.wanted, concurrency=self.wanted, busy=busy, done=done)
        decision = self._scaler.decide(self._size, load, Demand(waiting=waiting, oldest_s=oldest_s), self._now)
        self.wanted, self.why = decision.wanted, decision.why
        return self.wanted

    def quiet(self, seconds: int, busy: int = 0) -> Iterator[int]:
        return (self.after(1.0, busy=busy) for _ in range(seconds))


def test_a_fixed_pool_stays_as_it_was_asked_for() -> None:
    pool = Pool(PoolSize.fixed(3), 3)
    assert (pool.after(1.0, waiting=1000, oldest_s=99.0), pool.why) == (3, "as asked for")


def test_a_pool_doubles_while_something_waits_for_too_long() -> None:
    pool = Pool(WIDE, 1)
    assert [pool.after(1.0, waiting=50, oldest_s=2.0, busy=8) for _ in range(5)] == [2, 4, 8, 8, 8]
    assert pool.why == "50 waiting, the oldest for 2.0 s"


def test_it_grows_no_further_than_there_is_work() -> None:
    pool = Pool(WIDE, 2)
    assert pool.after(1.0, waiting=1, oldest_s=5.0, busy=2) == 3
    assert pool.after(1.0, waiting=0, busy=3) == 3


def test_it_grows_at_once_for_a_long_queue_and_not_at_all_for_a_short_young_one() -> None:
    assert Pool(WIDE, 2).after(0.1, waiting=9, oldest_s=0.0, busy=2) == 4
    assert Pool(WIDE, 2).after(0.1, waiting=8, oldest_s=0.9, busy=2) == 2


def test_a_step_that_has_not_come_about_is_waited_for() -> None:
    scaler = Scaler(LIMITS)
    load = Load(wanted=4, concurrency=2, busy=2)
    assert scaler.decide(WIDE, load, Demand(waiting=50, oldest_s=9.0), 0.0).wanted == 4


def test_it_shrinks_after_a_quiet_time_to_what_was_busy_at_most() -> None:
    pool = Pool(WIDE, 8)
    pool.after(1.0, busy=8)
    assert pool.after(1.0, busy=3) == 8
    assert set(pool.quiet(29, busy=1)) == {8}
    assert (pool.after(1.0, busy=1), pool.why) == (3, "3 busy at most for 30 s")
    assert list(pool.quiet(32))[-1] == 1


def test_it_never_leaves_its_bounds() -> None:
    pool = Pool(PoolSize(min=2, max=4), 1)
    assert (pool.after(1.0), pool.why) == (2, "between 2 and 4")
    assert pool.after(1.0, waiting=99, oldest_s=9.0, busy=2) == 4
    assert pool.after(1.0, waiting=99, oldest_s=9.0, busy=4) == 4
    assert list(pool.quiet(400))[-1] == 2
    assert Pool(PoolSize(min=2, max=4), 9).after(1.0) == 4


def test_a_pool_without_work_ends_and_is_woken_by_what_waits() -> None:
    pool = Pool(WIDE, 1)
    assert set(pool.quiet(300)) == {1}
    assert (pool.after(1.0), pool.why) == (0, "nothing to do for 300 s")
    assert set(pool.quiet(10)) == {0}
    assert (pool.after(1.0, waiting=9, oldest_s=0.1), pool.why) == (3, "woken: 9 waiting, the oldest for 0.1 s")


def test_work_between_two_looks_keeps_a_pool_from_ending() -> None:
    pool = Pool(WIDE, 1)
    assert [pool.after(100.0, done=done) for done in (1, 2, 3, 4, 5, 6)] == [1] * 6
