"""Weights of signs: nothing without feedback, the minimum of the loss with it."""

from __future__ import annotations

import numpy as np
import pytest

from swarm.sona.ranking import outcome_loss
from swarm.sona.sign_weights import Judgement, learned_weights, ridge_of
from swarm.sona.vectors import Doubles

START = np.array([1.0, 0.5, -0.2])


def judgements(count: int, seed: int, truth: Doubles) -> list[Judgement]:
    """Answers of which those that `truth` puts first are good."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        signs = rng.standard_normal((int(rng.integers(2, 12)), len(truth))).astype(np.float32)
        first = int(signs.dot(START).argmax())
        made.append(Judgement(signs, first, float(first == signs.dot(truth).argmax())))
    return made


def loss(beta: Doubles, judged: list[Judgement]) -> float:
    total = 0.5 * ridge_of(len(judged)) * float(np.square(beta - START).sum())
    for one in judged:
        mass = np.exp(one.signs.dot(beta))
        p = np.array([mass[one.chosen] / mass.sum()], dtype=np.float32)
        total += float(outcome_loss(p, np.array([one.quality], dtype=np.float32))[0])
    return total


def test_without_judgements_the_weights_are_those_of_the_start() -> None:
    assert learned_weights(START, []) is START


def test_the_loss_is_that_of_outcomes_and_no_step_lowers_it_further() -> None:
    judged = judgements(200, 0, np.array([0.2, 2.0, 1.0]))
    found = learned_weights(START, judged)
    least = loss(found, judged)
    assert least < loss(START, judged)
    for direction in np.eye(3):
        for step in (-1e-2, 1e-2):
            assert loss(found + step * direction, judged) > least


def test_weights_that_were_learned_from_some_questions_help_with_others() -> None:
    truth = np.array([0.2, 2.0, 1.0])
    found = learned_weights(START, judgements(300, 1, truth))
    others = judgements(500, 2, truth)

    def right(beta: Doubles) -> float:
        return float(np.mean([one.signs.dot(beta).argmax() == one.signs.dot(truth).argmax() for one in others]))

    assert right(found) > right(START) + 0.2


@pytest.mark.parametrize("quality", [0.0, 1.0])
def test_judgements_that_say_the_same_for_ever_leave_the_weights_finite(quality: float) -> None:
    signs = np.array([[1e3, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=np.float32)
    found = learned_weights(START, [Judgement(signs, 0, quality)] * 50)
    assert np.isfinite(found).all()


def test_the_order_of_judgements_does_not_matter() -> None:
    judged = judgements(100, 3, np.array([0.0, 1.0, 1.0]))
    assert learned_weights(START, judged) == pytest.approx(learned_weights(START, judged[::-1]), abs=1e-6)


def test_one_judgement_leaves_the_right_answers_of_other_questions_first() -> None:
    rng = np.random.default_rng(4)
    # Of the sizes that signs of code have: terms by the field, cosines in quarters.
    start = np.array([0.4, 0.4, 0.3, 1.5, 1.2, 1.0, 1.3])
    others = [3.0 * rng.random((32, len(start))) for _ in range(500)]
    clear = [signs for signs in others if np.diff(np.sort(signs.dot(start))[-2:])[0] > 0.2]
    assert len(clear) > 200
    for _ in range(50):
        signs = (3.0 * rng.random((32, len(start)))).astype(np.float32)
        worst = int(signs.dot(start).argmin())
        beta = learned_weights(start, [Judgement(signs, worst, 1.0)])
        assert beta != pytest.approx(start, abs=1e-3)
        assert all(one.dot(beta).argmax() == one.dot(start).argmax() for one in clear)
