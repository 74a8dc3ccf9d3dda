"""Tasks in sequence: labelled texts cut into domains, or into parts of the labels, that come one after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.bandit import Stream, draw_stream
from benchmarks.labelled import LabelledTexts
from swarm.errors import InputError
from swarm.sona.vectors import Doubles, Integers

PARTS = 5
MAX_TASKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSequence:
    """One stream cut into T tasks: rows of requests and of test rows for each, in the order in which they come."""

    stream: Stream
    requests: tuple[Integers, ...]
    tests: tuple[Integers, ...]

    def shuffled(self, rng: np.random.Generator) -> TaskSequence:
        """The same requests in an order without tasks, in pieces of the same sizes; the test rows as they are."""
        mixed = rng.permutation(np.concatenate(self.requests))
        ends = np.cumsum([len(rows) for rows in self.requests])[:-1]
        return TaskSequence(stream=self.stream, requests=tuple(np.split(mixed, ends)), tests=self.tests)


def draw_tasks(data: LabelledTexts, seed: int) -> TaskSequence:
    """The stream of `seed`, cut by the domains of the data, else into `PARTS` parts of the labels, in drawn order.

    More than `MAX_TASKS` domains are put together to so many tasks. A label takes part if it has both requests
    (training rows beyond its seeds) and test rows; the prototypes of the others remain candidates.

    Raises
    ------
    InputError
        If there are fewer than two tasks.
    """
    stream = draw_stream(data, seed)
    rng = np.random.default_rng((seed, 1))
    labels = np.intersect1d(data.labels[stream.requests], data.labels[stream.test])
    groups = _groups(data, labels, rng)
    if len(groups) < 2:
        raise InputError(f"{data.name}: at least 2 labels with more rows than seeds are needed, got {len(labels)}")
    return TaskSequence(
        stream=stream,
        requests=tuple(stream.requests[np.isin(data.labels[stream.requests], group)] for group in groups),
        tests=tuple(stream.test[np.isin(data.labels[stream.test], group)] for group in groups),
    )


def summary(table: Doubles) -> dict[str, float]:
    """Final mean, backward transfer and success right after learning.

    Parameters
    ----------
    table : of shape (T, T), success on task u after task t was learned

    Returns
    -------
    final : mean over u of table[T - 1, u]
    bwt : mean over u < T - 1 of table[T - 1, u] - table[u, u] (Lopez-Paz & Ranzato 2017, equation 3)
    learned : mean over u of table[u, u]

    >>> summary(np.array([[0.9, 0.1], [0.5, 0.7]]))
    {'final': 0.6, 'bwt': -0.4, 'learned': 0.8}
    """
    last, right_after = table[-1], np.diag(table)
    return {
        "final": round(float(last.mean()), 12),
        "bwt": round(float((last - right_after)[:-1].mean()), 12),
        "learned": round(float(right_after.mean()), 12),
    }


def _groups(data: LabelledTexts, labels: Integers, rng: np.random.Generator) -> list[Integers]:
    if data.domains is not None:
        # A label belongs to the domain of its first row.
        first = {label: row for row, label in reversed(list(enumerate(data.labels.tolist())))}
        domain_of = np.array([data.domains[first[label]] for label in labels.tolist()], dtype=np.intp)
        order = rng.permutation(np.unique(domain_of))
        if len(order) > 1:
            return [labels[np.isin(domain_of, part)] for part in np.array_split(order, min(MAX_TASKS, len(order)))]
    return [part for part in np.array_split(rng.permutation(labels), PARTS) if len(part)]
