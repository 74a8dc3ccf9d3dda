from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY

from swarm.errors import ShapeError
from swarm.sona import EwcMemory
from swarm.sona.vectors import Vector

Arrays = list[Vector]


def arrays(seed: int, positive: bool = False) -> Arrays:
    rng = np.random.default_rng(seed)
    result = [rng.standard_normal(shape).astype(np.float32) for shape in ((2, 3), (2, 3), (1, 4))]
    return [np.abs(a) for a in result] if positive else result


def remembered(gamma: float = 0.9) -> tuple[EwcMemory, list[tuple[Arrays, Arrays]]]:
    """A memory of three tasks, and the (Fisher information, parameters) of each."""
    tasks = [(arrays(seed, positive=True), arrays(seed + 100)) for seed in range(3)]
    memory = EwcMemory.empty()
    for fisher, parameters in tasks:
        memory.consolidate(fisher, parameters, gamma)
    return memory, tasks


def slow_penalty(tasks: list[tuple[Arrays, Arrays]], parameters: Arrays, strength: float, gamma: float) -> float:
    """lambda/2 sum_k gamma^(last - k) F_k (theta - theta*_k)^2, task by task."""
    total = 0.0
    for age, (fisher, anchor) in enumerate(reversed(tasks)):
        for f, a, p in zip(fisher, anchor, parameters, strict=True):
            total += gamma**age * float((f.astype(np.float64) * np.square(p.astype(np.float64) - a)).sum())
    return 0.5 * strength * total


def rates_like(parameters: Arrays, rate: float) -> Arrays:
    return [np.full_like(p, rate) for p in parameters]


@PROPERTY
@given(st.integers(0, 1000), st.floats(0.0, 1.0), st.floats(0.0, 15_000.0))
def test_penalty_of_the_sums_equals_the_sum_over_tasks(seed: int, gamma: float, strength: float) -> None:
    memory, tasks = remembered(gamma)
    parameters = arrays(seed + 500)
    expected = slow_penalty(tasks, parameters, strength, gamma)
    assert memory.penalty(parameters, strength) == pytest.approx(expected, rel=1e-4, abs=1e-3)
    assert memory.tasks == 3


def test_penalty_of_one_weight_worked_by_hand() -> None:
    # F = 2 at theta* = 1, then gamma = 0.5 and F = 4 at theta* = 3; at theta = 2 with lambda = 10:
    # 10 / 2 * (0.5 * 2 * 1 + 4 * 1) = 25.
    memory = EwcMemory.empty()
    memory.consolidate([np.array([2.0], dtype=np.float32)], [np.array([1.0], dtype=np.float32)], 0.5)
    memory.consolidate([np.array([4.0], dtype=np.float32)], [np.array([3.0], dtype=np.float32)], 0.5)
    assert memory.importance[0].tolist() == [5.0]
    assert memory.anchor[0].tolist() == [13.0]
    assert memory.constant == pytest.approx(37.0)
    assert memory.penalty([np.array([2.0], dtype=np.float32)], 10.0) == pytest.approx(25.0)


def test_penalty_is_zero_at_the_anchor_of_a_single_task_and_nowhere_negative() -> None:
    memory = EwcMemory.empty()
    parameters = arrays(1)
    assert memory.penalty(parameters, 2000.0) == 0.0
    memory.consolidate(arrays(2, positive=True), parameters, 0.95)
    assert memory.penalty(parameters, 2000.0) == pytest.approx(0.0, abs=1e-3)
    assert memory.penalty(arrays(3), 2000.0) > 0.0


def test_proximal_step_follows_the_derivative_of_the_penalty() -> None:
    # theta+ = theta - h P'(theta+): the implicit step, checked by finite differences of the penalty at theta+.
    memory, _ = remembered()
    before = [p.astype(np.float64) for p in arrays(7)]
    after = [p.astype(np.float32) for p in before]
    rate, strength, step = 0.01, 30.0, 1e-2
    memory.pull(after, strength, rates_like(after, rate))
    for i, array in enumerate(after):
        for position in np.ndindex(array.shape):
            shifted = [p.astype(np.float64) for p in after]
            shifted[i][position] += step
            above = memory.penalty(shifted, strength)  # type: ignore[arg-type]  # float64, for the difference
            shifted[i][position] -= 2 * step
            below = memory.penalty(shifted, strength)  # type: ignore[arg-type]
            slope = (above - below) / (2 * step)
            assert array[position] == pytest.approx(before[i][position] - rate * slope, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("strength", [1.0, 2000.0, 1e6])
@pytest.mark.parametrize("rate", [1e-4, 1.0, 1e5])
def test_proximal_step_minimises_the_surrogate_and_stays_between_start_and_anchor(strength: float, rate: float) -> None:
    memory, _ = remembered()
    start = arrays(8)
    moved = [p.copy() for p in start]
    memory.pull(moved, strength, rates_like(moved, rate))

    def surrogate(parameters: Arrays) -> float:
        distance = sum(float(np.square(p.astype(np.float64) - s).sum()) for p, s in zip(parameters, start, strict=True))
        return distance / (2 * rate) + memory.penalty(parameters, strength)

    best = surrogate(moved)
    rng = np.random.default_rng(9)
    for size in (1e-3, 1e-2, 0.3):
        for _ in range(5):
            others = [p + np.float32(size) * rng.standard_normal(p.shape).astype(np.float32) for p in moved]
            assert surrogate(others) > best * (1 - 1e-6)
    for p, s, weight, anchor in zip(moved, start, memory.importance, memory.anchor, strict=True):
        optimum = anchor / weight
        assert (p >= np.minimum(s, optimum) - 1e-4).all()
        assert (p <= np.maximum(s, optimum) + 1e-4).all()


def test_proximal_step_is_stable_for_a_huge_lambda_over_many_steps() -> None:
    memory, _ = remembered()
    parameters = arrays(10)
    rng = np.random.default_rng(11)
    for _ in range(1000):
        for p in parameters:
            p += rng.standard_normal(p.shape).astype(np.float32)
        memory.pull(parameters, 1e6, rates_like(parameters, 0.1))
    for p, weight, anchor in zip(parameters, memory.importance, memory.anchor, strict=True):
        np.testing.assert_allclose(p, anchor / weight, atol=1e-2)


def test_each_weight_is_pulled_by_its_own_rate() -> None:
    memory = EwcMemory.empty()
    memory.consolidate([np.ones(2, dtype=np.float32)], [np.zeros(2, dtype=np.float32)], 1.0)
    parameters = [np.ones(2, dtype=np.float32)]
    memory.pull(parameters, 1.0, [np.array([1.0, 3.0], dtype=np.float32)])
    assert parameters[0].tolist() == [0.5, 0.25]


def test_unimportant_weights_are_not_pulled() -> None:
    memory = EwcMemory.empty()
    memory.consolidate([np.array([0.0, 5.0], dtype=np.float32)], [np.zeros(2, dtype=np.float32)], 1.0)
    parameters = [np.ones(2, dtype=np.float32)]
    memory.pull(parameters, 1e6, rates_like(parameters, 1.0))
    assert parameters[0][0] == 1.0
    assert abs(parameters[0][1]) < 1e-5


def test_without_a_task_or_with_lambda_zero_nothing_is_pulled() -> None:
    memory, _ = remembered()
    for empty, strength in ((EwcMemory.empty(), 2000.0), (memory, 0.0)):
        parameters = arrays(12)
        empty.pull(parameters, strength, rates_like(parameters, 1.0))
        for p, original in zip(parameters, arrays(12), strict=True):
            assert p.tobytes() == original.tobytes()


def test_strength_is_lambda_by_the_square_root_of_the_tasks() -> None:
    memory = EwcMemory.empty()
    assert memory.strength(2000.0) == 2000.0
    found = []
    for seed in range(9):
        memory.consolidate(arrays(seed, positive=True), arrays(seed + 100), 0.95)
        found.append(memory.strength(2000.0))
    assert found == pytest.approx([2000.0 / (k + 1) ** 0.5 for k in range(9)])
    assert found[0] == 2000.0


def test_importance_is_the_fisher_information_beside_the_largest_one() -> None:
    memory = EwcMemory.empty()
    assert memory.importance_of() == []
    fisher = [np.array([[1.0, 4.0]], dtype=np.float32), np.array([8.0, 0.0], dtype=np.float32)]
    memory.consolidate(fisher, [np.zeros_like(f) for f in fisher], 1.0)
    assert [array.tolist() for array in memory.importance_of()] == [[[0.125, 0.5]], [1.0, 0.0]]
    # The memory itself keeps its unit.
    assert [array.tolist() for array in memory.importance] == [[[1.0, 4.0]], [8.0, 0.0]]


def test_importance_of_a_memory_that_found_nothing_important_is_zero() -> None:
    memory = EwcMemory.empty()
    memory.consolidate([np.zeros(3, dtype=np.float32)], [np.ones(3, dtype=np.float32)], 0.9)
    assert [array.tolist() for array in memory.importance_of()] == [[0.0, 0.0, 0.0]]


@PROPERTY
@given(st.integers(0, 1000), st.integers(1, 6))
def test_importance_lies_between_zero_and_one_and_does_not_depend_on_the_unit(seed: int, tasks: int) -> None:
    memory, scaled = EwcMemory.empty(), EwcMemory.empty()
    for task in range(tasks):
        fisher, parameters = arrays(seed + task, positive=True), arrays(seed + task + 100)
        memory.consolidate(fisher, parameters, 0.9)
        scaled.consolidate([np.float32(1e-4) * f for f in fisher], parameters, 0.9)
    found = memory.importance_of()
    assert max(float(array.max()) for array in found) == 1.0
    assert min(float(array.min()) for array in found) >= 0.0
    for one, other in zip(found, scaled.importance_of(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3)


def test_the_memory_of_more_tasks_than_it_may_hold_weighs_no_more_than_of_so_many() -> None:
    # Equal tasks without fading: the importance grows to max_tasks and stays there.
    one = [np.ones(2, dtype=np.float32)]
    memory, weights = EwcMemory.empty(), []
    for _ in range(9):
        memory.consolidate(one, one, 1.0, max_tasks=4)
        weights.append(float(memory.importance[0][0]))
    assert weights == pytest.approx([1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0], rel=1e-6)
    assert memory.tasks == 9
    assert memory.constant == pytest.approx(2 * 4.0)
    # The anchor is one still: only the weight of the memory is bounded.
    assert float(memory.anchor[0][0] / memory.importance[0][0]) == pytest.approx(1.0)


def test_a_memory_of_one_task_forgets_those_before() -> None:
    memory = EwcMemory.empty()
    for seed in range(3):
        memory.consolidate(arrays(seed, positive=True), arrays(seed + 100), 0.95, max_tasks=1)
    assert memory.penalty(arrays(102), 2000.0) == pytest.approx(0.0, abs=1e-2)
    assert memory.penalty(arrays(101), 2000.0) > 100.0


def test_a_copy_does_not_change_with_the_original() -> None:
    memory, _ = remembered()
    copy = memory.copy()
    before = [a.tobytes() for a in (*copy.importance, *copy.anchor)]
    memory.consolidate(arrays(13, positive=True), arrays(14), 0.9)
    assert [a.tobytes() for a in (*copy.importance, *copy.anchor)] == before
    assert copy.tasks == 3


def test_fisher_of_other_shapes_is_refused_and_changes_nothing() -> None:
    memory, _ = remembered()
    before = memory.constant, memory.tasks
    with pytest.raises(ShapeError, match="shapes"):
        memory.consolidate(arrays(15)[:2], arrays(15), 0.9)
    assert (memory.constant, memory.tasks) == before
