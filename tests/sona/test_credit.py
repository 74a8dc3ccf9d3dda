"""Credit to steps: baselines across trajectories, and how an outcome is spread."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY

from swarm.errors import BoundsError, InputError
from swarm.sona.clusters import Tally
from swarm.sona.credit import CreditSums, check_credit_sums, spread_credit
from swarm.sona.trajectory import Step, Trajectory


def run(nodes: str, quality: float, rewards: list[float] | None = None) -> Trajectory:
    """A trajectory that used one node for each letter."""
    given = rewards or [quality] * len(nodes)
    steps = tuple(Step(reward=reward, node=node.strip()) for node, reward in zip(nodes, given, strict=True))
    return Trajectory(id=nodes, embedding=np.ones(4, dtype=np.float32), quality=quality, steps=steps)


RUNS = st.lists(
    st.builds(run, st.text("abcd", min_size=1, max_size=4), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=12
)


def test_baselines_are_those_of_a_ridge_regression() -> None:
    rng = np.random.default_rng(0)
    used = rng.random((50, 4)) < 0.5
    used[:, 0] |= ~used.any(axis=1)
    quality = rng.integers(0, 2, 50).astype(np.float64)
    runs = [run("".join(np.array(list("abcd"))[row]), q) for row, q in zip(used, quality.tolist(), strict=True)]
    x = used.astype(np.float64)
    wanted = np.linalg.solve(x.T @ x + 3.0 * np.eye(4), x.T @ (quality - quality.mean()))
    found = CreditSums.of(runs).baselines(ridge=3.0)
    assert list(found) == list("abcd")
    np.testing.assert_allclose(list(found.values()), wanted, atol=1e-12)


def test_a_spoiler_is_told_from_its_company() -> None:
    # "g" alone succeeds, with "b" it fails: it is in as many failures as successes.
    runs = [run("g", 1.0), run("gb", 0.0), run("h", 1.0), run("hb", 0.0)] * 20
    sums = CreditSums.of(runs)
    assert sums.nodes["g"].sum_quality / sums.nodes["g"].n == 0.5
    baselines = sums.baselines()
    assert baselines["b"] < -0.5
    good, bad = spread_credit(run("gb", 0.0), baselines)
    assert good > 0.5
    assert bad == 0.0


def test_one_node_takes_the_whole_outcome() -> None:
    assert spread_credit(run("a", 0.7), {"a": 0.4}) == (0.7,)
    assert spread_credit(run("aa", 0.7), {"a": 0.4}) == (0.7, 0.7)


def test_what_the_others_add_is_taken_off() -> None:
    assert spread_credit(run("ab", 1.0), {"a": 0.25, "b": 0.0}) == (1.0, 0.75)
    assert spread_credit(run("ab", 0.5), {"a": 0.25, "b": -0.125}) == (0.625, 0.25)


def test_rewards_given_step_by_step_are_the_credit() -> None:
    assert spread_credit(run("ab", 1.0, [0.2, 0.9]), {"a": 0.5, "b": -0.5}) == (0.2, 0.9)


def test_a_step_without_a_node_keeps_its_reward() -> None:
    assert spread_credit(run("a ", 1.0, [0.5, 0.5]), {"a": 0.25}) == (1.0, 0.5)
    assert spread_credit(run("", 1.0), {}) == ()


def test_steps_that_name_no_node_add_nothing_to_the_sums() -> None:
    assert CreditSums.of([run("", 1.0), run(" ", 0.0)]) == CreditSums()
    assert CreditSums().baselines() == {}


@given(RUNS, RUNS)
@PROPERTY
def test_sums_merge_by_adding_in_any_order(first: list[Trajectory], second: list[Trajectory]) -> None:
    together = CreditSums.of(first + second)
    assert CreditSums.of(first) + CreditSums.of(second) == together
    assert CreditSums.of(second) + CreditSums.of(first) == together


@given(RUNS, st.builds(run, st.text("abcd", max_size=4), st.floats(0.0, 1.0)))
@PROPERTY
def test_credit_is_in_bounds(known: list[Trajectory], asked: Trajectory) -> None:
    credit = spread_credit(asked, CreditSums.of(known).baselines())
    assert len(credit) == len(asked.steps)
    assert all(0.0 <= value <= 1.0 for value in credit)


def test_the_nodes_used_most_stay_within_a_bound() -> None:
    sums = CreditSums.of([run("ab", 1.0), run("bc", 0.0), run("c", 1.0), run("b", 1.0)])
    kept = sums.bounded(2)
    assert set(kept.nodes) == {"b", "c"}
    assert set(kept.pairs) == {("b", "c")}
    assert kept.total == sums.total
    assert sums.bounded(3) == sums


def test_sums_from_elsewhere_are_checked() -> None:
    sums = CreditSums.of([run("ab", 1.0), run("b", 0.0)])
    assert check_credit_sums(sums) is sums
    with pytest.raises(BoundsError, match="sum_quality of 'a'"):
        check_credit_sums(replace(sums, nodes={**sums.nodes, "a": Tally(n=1.0, sum_quality=2.0)}))
    with pytest.raises(InputError, match="sorted order"):
        check_credit_sums(replace(sums, pairs={("b", "a"): 1.0}))
    with pytest.raises(BoundsError, match="pairs of"):
        check_credit_sums(replace(sums, pairs={("a", "b"): 2.0}))
    with pytest.raises(InputError, match="total must count"):
        check_credit_sums(replace(sums, total=Tally()))
    with pytest.raises(BoundsError, match="ridge must be in"):
        sums.baselines(ridge=0.0)
