"""What can be expected of each agent for a task: worked by hand, and in the limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sona_support import cluster

from swarm.sona.clusters import Cluster, Tally
from swarm.sona.index import Hit
from swarm.sona.ranking import BACKGROUND
from swarm.sona.skill import Skill, expected_skills

TAU = 0.05
AXIS = np.eye(4)[0]


def of(agent: str, n: float, right: float, action: str = "a") -> Cluster:
    return cluster(f"{agent}-{action}", AXIS, action=action, n=n, agents={agent: Tally(n=n, sum_quality=right)})


def near(*clusters: Cluster, similarity: float = 1.0) -> list[Hit]:
    return [Hit(one, similarity, similarity) for one in clusters]


def test_the_formula_worked_by_hand() -> None:
    hits = [*near(of("ada", 8.0, 8.0)), *near(of("bob", 1.0, 0.0), similarity=0.95)]
    found = expected_skills(hits, ["ada", "bob", "eve"], TAU)
    worth = 2.0 + math.exp((BACKGROUND - 1.0) / TAU)
    ada, bob, wide = 8.0**0.7, math.exp(-1.0), math.exp(-1.0 / 8.0)
    prior = (worth / 2 + ada) / (worth + ada + bob)
    expected = prior
    for _ in range(3):  # thereabouts, with such tasks, by its action
        expected = (worth * expected + ada) / (worth + ada)
    assert found["ada"].quality == pytest.approx(expected)
    assert found["bob"].quality == pytest.approx(worth / (worth + bob) * worth / (worth + wide) * prior)
    assert found["eve"].quality == pytest.approx(prior)
    assert [found[name].evidence for name in ("ada", "bob", "eve")] == pytest.approx([ada, bob, 0.0])


def test_whoever_has_found_what_works_is_not_held_to_what_it_cost() -> None:
    hits = near(of("ada", 10.0, 10.0, "right"), of("ada", 10.0, 0.0, "wrong"), of("bob", 20.0, 14.0))
    found = expected_skills(hits, ["ada", "bob"], TAU)
    assert found["ada"].quality > 0.85 > 0.75 > found["bob"].quality


def test_whose_every_result_is_another_is_taken_at_its_mean() -> None:
    mixed = [of("ada", 1.0, float(number % 2), f"result-{number}") for number in range(20)]
    sure = [of("bob", 1.0, 1.0, f"text-{number}") for number in range(20)]
    found = expected_skills(near(*mixed, *sure), ["ada", "bob"], TAU)
    assert found["bob"].quality > found["ada"].quality + 0.15


def test_where_nothing_is_near_all_are_alike_and_nobody_is_known() -> None:
    far = near(of("ada", 50.0, 50.0), of("bob", 50.0, 0.0), similarity=-0.2)
    found = expected_skills(far, ["ada", "bob"], TAU)
    assert found["ada"].quality == pytest.approx(found["bob"].quality, abs=0.02)
    assert expected_skills([], ["ada"], TAU) == {"ada": Skill(quality=0.5, evidence=0.0)}


def test_only_the_agents_that_are_asked_for_count() -> None:
    hits = near(of("ada", 9.0, 9.0), of("eve", 9.0, 0.0))
    assert expected_skills(hits, ["ada"], TAU) == expected_skills(near(of("ada", 9.0, 9.0)), ["ada"], TAU)
