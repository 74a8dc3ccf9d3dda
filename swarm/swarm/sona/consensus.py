"""Which of several agents' answers to one task is right, and how far each agent can be trusted.

Dawid & Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm", with one number
per agent (the "one-coin" model), because the answers of every task are others: agent i answers task t right with
probability p_i, else any of the K_t - 1 wrong answers, each as likely. With a flat prior over the K_t answers

    P(z | answers) is proportional to prod_i (p_i if a_i = z else (1 - p_i) / (K_t - 1))                    E-step
    p_i = (alpha + sum_t P(z_t = a_it)) / (alpha + beta + n_i)                                              M-step

The prior Beta(alpha, beta) lies above chance: without it the mirror image, in which everybody is wrong, explains the
answers as well. Of the K_t answers some may be unseen: then the right one was given by nobody.
Agents that collude break the model: without a known truth, those who always agree look reliable.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarm.errors import BoundsError, InputError
from swarm.sona.vectors import check_count, check_number

PRIOR_RIGHT, PRIOR_WRONG = 2.0, 1.0
"""Beta(alpha, beta): an agent of whom nothing is known is right in two of three cases."""
MAX_CHOICES = 1_000_000
OPEN_CHOICES = 10
"""K where nobody says how many answers are possible. With more, two wrong answers that are the same become strong
evidence, and independence does not go that far: agents share their mistakes. An agent that is right in one of ten
cases then counts for nothing, one that is right less often counts against its answer."""
_LEAST, _MOST = 0.01, 0.99
"""Nobody is believed, or disbelieved, beyond this: a single agent must never outvote everybody for ever."""
_TIE = 1e-9
_CONVERGED = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How often an agent was right, as sums that add up over tasks in any order: of `n` tasks, `right` of them.

    >>> Reliability(n=7.0, right=7.0).mean
    0.9
    """

    n: float = 0.0
    right: float = 0.0

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(n=self.n + other.n, right=self.right + other.right)

    @property
    def mean(self) -> float:
        """Posterior mean of the probability that it is right."""
        return (self.right + PRIOR_RIGHT) / (self.n + PRIOR_RIGHT + PRIOR_WRONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """What the answers come to.

    `answer` is None in a tie: then no answer is better than another. `probability` is that of the best answer,
    `posterior` that of each answer given; it sums to less than 1 where the right one may be unseen. `agreement` is the
    share of the agents that gave the best answer; in a tie, any of the best.
    """

    answer: str | None
    probability: float
    agreement: float
    posterior: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Reliabilities from a history, the consensus of each task, and whether EM converged in `rounds`."""

    reliabilities: Mapping[str, Reliability]
    tasks: tuple[Consensus, ...]
    rounds: int
    converged: bool


def majority(answers: Mapping[str, str]) -> Consensus:
    """The answer that most agents gave; every agent counts the same.

    Parameters
    ----------
    answers : agent -> answer, at least one

    >>> majority({"a": "x", "b": "x", "c": "y"}).answer
    'x'
    >>> majority({"a": "x", "b": "y"}).answer is None
    True
    """
    _check(answers)
    counts = Counter(answers.values())
    return _consensus(answers, {answer: count / len(answers) for answer, count in counts.items()})


def weigh(
    answers: Mapping[str, str], reliabilities: Mapping[str, Reliability], *, choices: int | None = None
) -> Consensus:
    """The answer that is likeliest to be right, given how reliable each agent is.

    Parameters
    ----------
    answers : agent -> answer, at least one
    reliabilities : what is known of the agents; who is not in it has the prior's
    choices : K, how many answers are possible; None means 10, or one more than were given

    >>> trusted = {"a": Reliability(n=50, right=48), "b": Reliability(n=50, right=5), "c": Reliability(n=50, right=5)}
    >>> weigh({"a": "x", "b": "y", "c": "y"}, trusted).answer
    'x'
    """
    _check(answers)
    means = {agent: reliabilities.get(agent, Reliability()).mean for agent in answers}
    return _consensus(answers, _posterior(answers, means, _choices(answers, choices)))


def estimate(
    history: Sequence[Mapping[str, str]],
    *,
    truths: Mapping[int, str] | None = None,
    choices: int | None = None,
    max_rounds: int = 100,
) -> Estimate:
    """Reliabilities and answers of a whole history together, by expectation and maximization.

    It begins with the known truths, or with each task's majority where there are none, and ends when no reliability
    moves by more than 1e-6, or after `max_rounds`.
    A task that only one agent answered says nothing about it, unless its truth is known. Neither the order of the
    tasks nor that of the agents matters.

    Parameters
    ----------
    history : one mapping agent -> answer per task
    truths : the right answer of some tasks, by position in `history`
    choices : as in `weigh`, for every task

    Raises
    ------
    InputError
        If a task has no answers.
    BoundsError
        If a position or a number is out of bounds.
    """
    check_count(max_rounds, "max_rounds", 1, 10_000)
    known = {check_count(t, "truths", 0, len(history) - 1): truth for t, truth in (truths or {}).items()}
    for answers in history:
        _check(answers)
    agents = sorted({agent for answers in history for agent in answers})
    sizes = [_choices(answers, choices) for answers in history]
    posteriors = [{known[t]: 1.0} if t in known else majority(answers).posterior for t, answers in enumerate(history)]
    # Where truths are known they say whom to trust first: from the majority, EM would only climb to the colluders.
    judged = {t: answers for t, answers in enumerate(history) if t in known or not known}
    reliabilities = _tally(agents, judged, posteriors, known)
    rounds, moved = 0, math.inf
    while rounds < max_rounds and moved > _CONVERGED:
        rounds += 1
        means = {agent: reliability.mean for agent, reliability in reliabilities.items()}
        for t, answers in enumerate(history):
            if t not in known:
                posteriors[t] = _posterior(answers, means, sizes[t])
        reliabilities = _tally(agents, dict(enumerate(history)), posteriors, known)
        moved = max((abs(reliabilities[agent].mean - mean) for agent, mean in means.items()), default=0.0)
    tasks = tuple(_consensus(answers, posterior) for answers, posterior in zip(history, posteriors, strict=True))
    return Estimate(reliabilities=reliabilities, tasks=tasks, rounds=rounds, converged=moved <= _CONVERGED)


def _tally(
    agents: Sequence[str],
    judged: Mapping[int, Mapping[str, str]],
    posteriors: Sequence[Mapping[str, float]],
    known: Mapping[int, str],
) -> dict[str, Reliability]:
    """What the `judged` tasks say about each of the agents."""
    total = dict.fromkeys(agents, Reliability())
    for t, answers in judged.items():
        if len(answers) > 1 or t in known:
            for agent, answer in answers.items():
                total[agent] += Reliability(n=1.0, right=posteriors[t].get(answer, 0.0))
    return total


def _posterior(answers: Mapping[str, str], means: Mapping[str, float], choices: int) -> dict[str, float]:
    """P(z | answers) of every answer that was given."""
    # Relative to prod_i (1 - p_i) / (K - 1), the likelihood of an answer that nobody gave.
    logs: dict[str, float] = dict.fromkeys(sorted(answers.values()), 0.0)
    for agent in sorted(answers):
        p = min(_MOST, max(_LEAST, means[agent]))
        logs[answers[agent]] += math.log(p * (choices - 1) / (1.0 - p))
    highest = max(0.0, *logs.values())
    weights = {answer: math.exp(log - highest) for answer, log in logs.items()}
    unseen = (choices - len(logs)) * math.exp(-highest)
    total = math.fsum((*weights.values(), unseen))
    return {answer: weight / total for answer, weight in weights.items()}


def _consensus(answers: Mapping[str, str], posterior: Mapping[str, float]) -> Consensus:
    best = max(posterior.values())
    winners = [answer for answer in posterior if posterior[answer] >= best - _TIE]
    giving = sum(answer == winners[0] for answer in answers.values())
    return Consensus(
        answer=winners[0] if len(winners) == 1 else None,
        probability=best,
        agreement=giving / len(answers),
        posterior=posterior,
    )


def _choices(answers: Mapping[str, str], choices: int | None) -> int:
    given = len(set(answers.values()))
    if choices is None:
        return max(OPEN_CHOICES, given + 1)
    check_count(choices, "choices", 2, MAX_CHOICES)
    if choices < given:
        raise BoundsError(f"choices must be at least the {given} answers that were given, got {choices}")
    return choices


def _check(answers: Mapping[str, str]) -> None:
    if not answers:
        raise InputError("answers must hold at least one agent's, got none")


def check_reliability(reliability: Reliability) -> Reliability:
    """The reliability, if it can have come from tasks: 0 <= right <= n."""
    n = check_number(reliability.n, "n", 0.0, 1e15)
    check_number(reliability.right, "right", 0.0, n)
    return reliability
