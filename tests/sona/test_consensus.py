"""The consensus of several agents: whose answer is right, and how far each can be trusted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY

from swarm.errors import BoundsError, InputError
from swarm.sona.consensus import Reliability, estimate, majority, weigh

GOOD = Reliability(n=97, right=80)
BAD = Reliability(n=97, right=2)
History = tuple[list[dict[str, str]], list[str]]


def a_history(chances: Sequence[float], *, tasks: int = 300, choices: int = 4, seed: int = 0) -> History:
    """Answers of agents that are right with these chances and else give any wrong answer; and the truths."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(choices, size=tasks)
    wrong = (truths[:, None] + rng.integers(1, choices, size=(tasks, len(chances)))) % choices
    given = np.where(rng.random(wrong.shape) < chances, truths[:, None], wrong)
    history = [{f"a{i}": str(answer) for i, answer in enumerate(row)} for row in given.tolist()]
    return history, [str(truth) for truth in truths.tolist()]


def share_right(answers: Sequence[str | None], truths: Sequence[str]) -> float:
    return sum(answer == truth for answer, truth in zip(answers, truths, strict=True)) / len(truths)


def brute_force(answers: Mapping[str, str], means: Mapping[str, float], choices: int) -> dict[str, float]:
    """The posterior by Bayes' rule over every possible answer, the unseen ones too."""
    given = sorted(set(answers.values()))
    unseen = [f"unseen {i}" for i in range(choices - len(given))]
    likelihood = {
        z: math.prod(means[agent] if a == z else (1 - means[agent]) / (choices - 1) for agent, a in answers.items())
        for z in given + unseen
    }
    total = sum(likelihood.values())
    return {z: likelihood[z] / total for z in given}


def test_most_agents_decide_when_all_count_the_same() -> None:
    found = majority({"a": "x", "b": "y", "c": "x"})
    assert (found.answer, found.probability, found.agreement) == ("x", 2 / 3, 2 / 3)
    assert found.posterior == {"x": 2 / 3, "y": 1 / 3}


def test_a_tie_has_no_winner() -> None:
    assert majority({"a": "x", "b": "y"}).answer is None
    assert weigh({"a": "x", "b": "y"}, {}).answer is None
    assert weigh({"a": "x", "b": "y", "c": "z"}, {"a": GOOD, "b": GOOD, "c": GOOD}).answer is None


def test_one_agent_alone_is_believed_as_far_as_it_is_reliable() -> None:
    assert weigh({"a": "x"}, {"a": GOOD}).probability == pytest.approx(GOOD.mean)
    assert weigh({"a": "x"}, {}).probability == pytest.approx(2 / 3)


def test_all_different_answers_go_to_the_most_reliable_agent() -> None:
    found = weigh({"a": "x", "b": "y", "c": "z"}, {"a": BAD, "b": GOOD})
    assert found.answer == "y"
    assert found.agreement == pytest.approx(1 / 3)


@PROPERTY
@given(
    answers=st.lists(st.sampled_from("wxyz"), min_size=1, max_size=6),
    counts=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=6, max_size=6),
    spare=st.integers(1, 5),
)
def test_the_posterior_is_bayes_rule_over_every_possible_answer(
    answers: list[str], counts: list[tuple[int, int]], spare: int
) -> None:
    reliabilities = {f"a{i}": Reliability(n=n + right, right=right) for i, (n, right) in enumerate(counts)}
    told = {f"a{i}": answer for i, answer in enumerate(answers)}
    choices = len(set(answers)) + spare
    found = weigh(told, reliabilities, choices=choices)
    expected = brute_force(told, {name: r.mean for name, r in reliabilities.items()}, choices)
    assert found.posterior == pytest.approx(expected, abs=1e-9)


@PROPERTY
@given(order=st.permutations(range(5)), answers=st.lists(st.sampled_from("xyz"), min_size=5, max_size=5))
def test_the_order_of_the_agents_does_not_matter(order: list[int], answers: list[str]) -> None:
    reliabilities = {f"a{i}": Reliability(n=10.0, right=2.0 * i) for i in range(5)}
    told = {f"a{i}": answers[i] for i in range(5)}
    turned = {f"a{i}": answers[i] for i in order}
    assert weigh(told, reliabilities) == weigh(turned, reliabilities)
    assert majority(told) == majority(turned)


@PROPERTY
@given(
    honest=st.lists(st.integers(70, 97), min_size=3, max_size=9),
    liars=st.lists(st.integers(0, 15), min_size=1, max_size=6),
    seed=st.integers(0, 2**16),
)
def test_colluding_liars_do_not_flip_what_most_honest_agents_say(
    honest: list[int], liars: list[int], seed: int
) -> None:
    """At most 40 % lie, all with the same answer; more than half of the honest ones are right, the others scatter."""
    liars = liars[: 2 * len(honest) // 3]
    rng = np.random.default_rng(seed)
    right = rng.permutation(len(honest))[: len(honest) // 2 + 1]
    answers = {f"honest {i}": "truth" if i in right else f"slip {i}" for i in range(len(honest))}
    answers |= {f"liar {i}": "lie" for i in range(len(liars))}
    known = {f"honest {i}": Reliability(n=100.0, right=float(n)) for i, n in enumerate(honest)}
    known |= {f"liar {i}": Reliability(n=100.0, right=float(n)) for i, n in enumerate(liars)}
    assert weigh(answers, known).answer == "truth"


def test_known_liars_in_the_majority_are_outvoted() -> None:
    answers = {"a": "truth", "b": "lie", "c": "lie"}
    assert majority(answers).answer == "lie"
    assert weigh(answers, {"a": GOOD, "b": BAD, "c": BAD}).answer == "truth"


def test_reliabilities_are_found_without_knowing_any_truth() -> None:
    chances = (0.9, 0.7, 0.6, 0.5, 0.4)
    errors, gained = [], []
    for seed in range(5):
        history, truths = a_history(chances, seed=seed)
        found = estimate(history, choices=4)
        assert found.converged
        errors += [abs(found.reliabilities[f"a{i}"].mean - p) for i, p in enumerate(chances)]
        plain = share_right([majority(answers).answer for answers in history], truths)
        gained.append(share_right([task.answer for task in found.tasks], truths) - plain)
    assert np.mean(errors) < 0.05
    assert np.min(gained) > 0.05


def test_two_adversaries_of_five_are_found_out() -> None:
    history, truths = a_history((0.8, 0.8, 0.8, 0.05, 0.05))
    found = estimate(history, choices=4)
    assert share_right([task.answer for task in found.tasks], truths) > 0.85
    assert max(found.reliabilities["a3"].mean, found.reliabilities["a4"].mean) < 0.15


def test_truths_of_some_tasks_expose_colluders_whom_agreement_alone_would_make_look_best() -> None:
    history, truths = a_history((0.6, 0.6, 0.6), choices=10)
    colluding = [answers | {"l0": f"lie {t}", "l1": f"lie {t}"} for t, answers in enumerate(history)]
    blind = estimate(colluding)
    told = estimate(colluding, truths={t: truths[t] for t in range(30)})
    assert blind.reliabilities["l0"].mean > 0.9
    assert told.reliabilities["l0"].mean < 0.2
    assert share_right([task.answer for task in blind.tasks], truths) < 0.1
    assert share_right([task.answer for task in told.tasks], truths) > 0.7


def test_neither_the_order_of_tasks_nor_of_agents_changes_an_estimate() -> None:
    history, _ = a_history((0.9, 0.6, 0.5), tasks=40)
    turned = [dict(reversed(answers.items())) for answers in reversed(history)]
    one, other = estimate(history), estimate(turned)
    for name in ("a0", "a1", "a2"):
        assert one.reliabilities[name].mean == pytest.approx(other.reliabilities[name].mean, abs=1e-6)


def test_more_rounds_never_make_the_history_less_likely() -> None:
    """EM climbs the posterior: log prior plus log marginal likelihood, here worked out in full."""
    history, _ = a_history((0.8, 0.7, 0.4), tasks=60)

    def height(rounds: int) -> float:
        found = estimate(history, choices=4, max_rounds=rounds)
        # The M-step takes the posterior mean, which is the mode under a prior with one more of each.
        p = {name: r.mean for name, r in found.reliabilities.items()}
        total = sum(2.0 * math.log(x) + 1.0 * math.log(1 - x) for x in p.values())
        for answers in history:
            each = [
                math.prod(p[a] if given == z else (1 - p[a]) / 3 for a, given in answers.items())
                for z in ("0", "1", "2", "3")
            ]
            total += math.log(sum(each) / 4)
        return total

    heights = [height(rounds) for rounds in (1, 2, 3, 5, 8, 20)]
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(heights))


def test_a_lone_answer_says_nothing_about_its_agent_unless_the_truth_is_known() -> None:
    assert estimate([{"a": "x"}] * 9).reliabilities["a"] == Reliability()
    assert estimate([{"a": "x"}] * 9, truths={0: "x", 1: "y"}).reliabilities["a"] == Reliability(n=2.0, right=1.0)


def test_reliabilities_add_up() -> None:
    assert Reliability(n=2, right=1) + Reliability(n=1, right=1) == Reliability(n=3, right=2)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="answers must hold at least one"):
        majority({})
    with pytest.raises(InputError, match="answers must hold at least one"):
        estimate([{}])
    with pytest.raises(BoundsError, match="choices must be at least the 3 answers"):
        weigh({"a": "x", "b": "y", "c": "z"}, {}, choices=2)
    with pytest.raises(BoundsError, match="choices"):
        weigh({"a": "x"}, {}, choices=1)
    with pytest.raises(BoundsError, match="truths"):
        estimate([{"a": "x"}], truths={1: "x"})
