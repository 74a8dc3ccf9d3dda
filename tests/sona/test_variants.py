from __future__ import annotations

import math

import pytest

from swarm.errors import InputError
from swarm.sona import VariantScore, select_by_ucb


def score(name: str, mean: float, n: float) -> VariantScore:
    return VariantScore(name=name, mean=mean, n=n)


def test_ucb_of_three_variants_worked_by_hand() -> None:
    # N = 100: a = .6 + sqrt(2 ln 100 / 80) = .939, b = .5 + sqrt(2 ln 100 / 16) = 1.259, c = .3 + sqrt(.../4) = 1.817.
    scores = [score("a", 0.6, 80), score("b", 0.5, 16), score("c", 0.3, 4)]
    values = {s.name: s.mean + math.sqrt(2 * math.log(100) / s.n) for s in scores}
    assert values == pytest.approx({"a": 0.939, "b": 1.259, "c": 1.817}, abs=1e-3)
    assert select_by_ucb(["a", "b", "c"], scores) == "c"
    assert select_by_ucb(["a", "b"], scores) == "b"
    assert select_by_ucb(["a", "b", "c"], scores, exploration=0.0) == "a"


def test_variants_without_evidence_come_first_in_their_order() -> None:
    scores = [score("a", 1.0, 5), score("b", 0.0, 0)]
    assert select_by_ucb(["a", "b", "c"], scores) == "b"
    assert select_by_ucb(["a", "c", "b"], scores) == "c"


def test_scores_of_other_variants_do_not_count() -> None:
    assert select_by_ucb(["a"], [score("a", 0.1, 3), score("z", 0.9, 1e9)]) == "a"


def test_repeated_choice_finds_the_best_variant() -> None:
    quality = {"a": 0.3, "b": 0.5, "c": 0.8}
    tries = dict.fromkeys(quality, 0)
    for _ in range(400):
        scores = [score(name, quality[name], n) for name, n in tries.items()]
        tries[select_by_ucb(list(quality), scores)] += 1
    assert tries["c"] > 200
    assert min(tries.values()) > 5


@pytest.mark.parametrize("variants", [[], "abc", ()])
def test_no_variants_and_text_in_their_place_are_refused(variants: list[str]) -> None:
    with pytest.raises(InputError, match="variants must be a sequence of names"):
        select_by_ucb(variants, [])


@pytest.mark.parametrize("exploration", [-1.0, math.nan, math.inf, "x", None])
def test_exploration_out_of_bounds_is_refused(exploration: float) -> None:
    with pytest.raises(InputError, match="exploration must be"):
        select_by_ucb(["a"], [], exploration)


@pytest.mark.parametrize("bad", [score("a", math.nan, 3), score("a", 1.5, 3), score("a", 0.5, math.nan)])
def test_scores_out_of_bounds_are_refused(bad: VariantScore) -> None:
    with pytest.raises(InputError, match="of a must be"):
        select_by_ucb(["a"], [bad])
