from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY, unit_vectors

from swarm.sona.boundary import PERSIST, SHIFT, SMALLEST_BATCH, TaskShift, shift
from swarm.sona.standing import Standing
from swarm.sona.vectors import Vector, unit_rows
from swarm.wire.memory_records import LearnerRecord, decode_learner, encode_learner

DIM = 64


def topics(seed: int, k: int = 8) -> Vector:
    return unit_vectors(np.random.default_rng(seed), k, DIM)


def batch(rng: np.random.Generator, centres: Vector, n: int = 60, spread: float = 0.6) -> Vector:
    """n queries about the topics around `centres`."""
    noise = rng.standard_normal((n, DIM)) * spread / np.sqrt(DIM)
    return unit_rows((centres[rng.integers(len(centres), size=n)] + noise).astype(np.float32))


def run(batches: list[Vector], state: TaskShift | None = None) -> tuple[TaskShift, list[bool]]:
    """The state after the batches, and after which of them a new task was found."""
    state = state or TaskShift.beginning(DIM)
    found = []
    for queries in batches:
        state, new = state.seen(queries)
        found.append(new)
    return state, found


def same(one: TaskShift, other: TaskShift) -> bool:
    names = ("n", "waiting_n", "strange_n", "strange_batches", "tasks")
    sums = ("total", "waiting", "strange")
    return all(getattr(one, name) == getattr(other, name) for name in names) and all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in sums
    )


@pytest.mark.parametrize("size", [20, 60, 300])
@pytest.mark.parametrize("k", [1, 30])
def test_a_stationary_stream_has_no_boundaries(k: int, size: int) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        centres = topics(seed, k)
        state, found = run([batch(rng, centres, size) for _ in range(20)])
        assert not any(found), seed
        assert state.tasks == 0
        assert state.n + state.strange_n == 20 * size


@pytest.mark.parametrize("k", [2, 3, 6])
def test_a_stationary_stream_about_few_topics_has_hardly_any_boundaries(k: int) -> None:
    # The statistic of a batch from few topics has few degrees of freedom, so that chance alone may exceed the bound
    # twice in a row: at worst, with two topics, 6 in 1,000 batches do.
    alarms = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        centres = topics(seed, k)
        alarms += sum(run([batch(rng, centres) for _ in range(20)])[1])
    assert alarms <= 10


def test_the_statistic_is_one_in_the_mean_without_a_shift_whatever_the_spread() -> None:
    for spread in (0.2, 0.6, 1.5):
        values = []
        for seed in range(300):
            rng = np.random.default_rng(seed)
            centres = topics(3)
            one, other = batch(rng, centres, 200, spread), batch(rng, centres, 50, spread)
            sums = [queries.sum(axis=0, dtype=np.float64) for queries in (one, other)]
            values.append(shift(sums[0], 200.0, sums[1], 50.0))
        assert float(np.mean(values)) == pytest.approx(1.0, abs=0.08), spread


def test_the_statistic_of_a_small_case_worked_by_hand() -> None:
    # Task: (1, 0) and (0, 1), mean (.5, .5), so the trace of the covariance is 1 - .5 = .5. Batch: (1, 0) four times.
    # |(.5, -.5)|^2 / (.5 (1/4 + 1/2)) = .5 / .375.
    assert shift(np.array([1.0, 1.0]), 2.0, np.array([4.0, 0.0]), 4.0) == pytest.approx(0.5 / 0.375)


@pytest.mark.parametrize("seed", range(10))
def test_a_shift_that_lasts_is_found_once_and_within_two_batches(seed: int) -> None:
    rng = np.random.default_rng(seed)
    old, new = topics(seed), topics(seed + 100)
    batches = [batch(rng, old) for _ in range(6)] + [batch(rng, new) for _ in range(8)]
    state, found = run(batches)
    assert [i for i, hit in enumerate(found) if hit] == [6 + PERSIST - 1]
    assert state.tasks == 1
    # The new task has the queries that showed it, and none of the old one.
    assert state.n == 8 * 60
    np.testing.assert_allclose(state.total, np.concatenate(batches[6:]).sum(axis=0), atol=1e-3)


def test_back_and_forth_is_found_each_time() -> None:
    rng = np.random.default_rng(1)
    tasks = [topics(1), topics(2)]
    state, found = run([batch(rng, tasks[phase % 2]) for phase in range(5) for _ in range(4)])
    assert [i for i, hit in enumerate(found) if hit] == [5, 9, 13, 17]
    assert state.tasks == 4


@pytest.mark.parametrize("seed", range(5))
def test_a_single_odd_batch_is_no_task_and_belongs_to_the_one_it_fell_into(seed: int) -> None:
    rng = np.random.default_rng(seed)
    old, new = topics(seed), topics(seed + 100)
    state, found = run([batch(rng, old) for _ in range(5)])
    during, odd_found = state.seen(batch(rng, new))
    assert (during.n, during.strange_n, during.strange_batches) == (state.n, 60.0, 1)
    after, later = during.seen(batch(rng, old, 200))
    assert not any([*found, odd_found, later])
    assert (after.tasks, after.n, after.strange_n, after.strange_batches) == (0, 6 * 60 + 200, 0.0, 0)


def test_odd_batches_that_do_not_follow_one_another_are_no_task() -> None:
    rng = np.random.default_rng(2)
    old, new = topics(2), topics(102)
    _, found = run([batch(rng, centres, n) for centres, n in ((old, 600), (new, 60), (old, 200), (new, 60), (old, 60))])
    assert not any(found)


def test_small_batches_are_gathered_and_say_the_same_as_large_ones() -> None:
    rng = np.random.default_rng(3)
    old, new = topics(3), topics(103)
    stream = np.concatenate([batch(rng, old, 200), batch(rng, new, 80)])
    # Three at a time: every seventh step completes a batch of 21.
    small, found = run([stream[i : i + 3] for i in range(0, 279, 3)])
    large, expected = run([stream[i : i + 21] for i in range(0, 273, 21)])
    assert sum(found) == sum(expected) == 1
    assert (found.index(True) + 1) * 3 == (expected.index(True) + 1) * 21
    assert (small.tasks, small.n, small.waiting_n) == (1, large.n, 6.0)
    np.testing.assert_allclose(small.total, large.total, atol=1e-4)


def test_fewer_queries_than_the_smallest_batch_decide_nothing() -> None:
    rng = np.random.default_rng(4)
    state, _ = run([batch(rng, topics(4)) for _ in range(5)])
    few, found = run([batch(rng, topics(104), SMALLEST_BATCH - 1)], state)
    assert found == [False]
    assert (few.n, few.strange_batches, few.waiting_n) == (state.n, 0, SMALLEST_BATCH - 1)
    empty, found = run([np.empty((0, DIM), dtype=np.float32)], few)
    assert found == [False]
    assert same(empty, few)


@PROPERTY
@given(st.integers(0, 10_000), st.lists(st.integers(0, 90), max_size=12))
def test_every_query_is_counted_once_and_the_state_that_was_given_stays(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    state = TaskShift.beginning(DIM)
    seen, total = 0, np.zeros(DIM)
    for size in sizes:
        queries = batch(rng, topics(int(rng.integers(3))), size) if size else np.empty((0, DIM), dtype=np.float32)
        before = encode_learner(LearnerRecord(task=state, standing=Standing()))
        after, new = state.seen(queries)
        assert encode_learner(LearnerRecord(task=state, standing=Standing())) == before
        assert after.tasks == state.tasks + new
        seen, total = seen + size, total + queries.sum(axis=0, dtype=np.float64)
        if new:
            # What came before the boundary is forgotten.
            seen, total = int(after.n), after.total
        state = after
        assert state.n + state.waiting_n + state.strange_n == seen
        np.testing.assert_allclose(state.total + state.waiting + state.strange, total, atol=1e-6)


def test_a_state_that_was_stored_goes_on_as_if_it_had_not_been() -> None:
    rng = np.random.default_rng(6)
    old, new = topics(6), topics(106)
    batches = [batch(rng, old) for _ in range(3)] + [batch(rng, new, size) for size in (60, 13, 11, 60)]
    plain = TaskShift.beginning(DIM)
    stored = TaskShift.beginning(DIM)
    found = []
    for queries in batches:
        plain, one = plain.seen(queries)
        record = LearnerRecord(task=stored, standing=Standing())
        stored, other = decode_learner(encode_learner(record)).task.seen(queries)
        assert one == other
        assert same(plain, stored)
        found.append(one)
    assert found == [False, False, False, False, False, True, False]


def test_shift_is_counted_from_the_bound() -> None:
    # The distance of two means such that T is just above and just below the bound.
    state = TaskShift(100.0, np.eye(DIM)[0] * 60.0, 0.0, np.zeros(DIM), 0.0, np.zeros(DIM))
    scale = np.sqrt(SHIFT * (1.0 - 0.36) * (1.0 / 50 + 1.0 / 100))
    for factor, strange in ((0.999, 0), (1.001, 1)):
        mean = 0.6 * np.eye(DIM)[0] + factor * scale * np.eye(DIM)[1]
        after, _ = state.seen(np.tile(mean, (50, 1)).astype(np.float32))
        assert after.strange_batches == strange
