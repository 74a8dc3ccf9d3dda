"""Where one task of an agent ends and another begins: a shift of what it is asked that lasts, or a name that is told.

Legend: mu_t, n_t mean and number of the embeddings of the current task, mu_b, n_b those of a batch, d-dimensional, of
unit length, so that the trace of their covariance is 1 - |mu|^2. Without a shift the expectation of

    T = |mu_b - mu_t|^2 / ((1 - |mu_t|^2) (1 / n_b + 1 / n_t))

is one (the trace form of Hotelling's two-sample test, Bai & Saranadasa 1996, equation 3.2, which needs no inverse).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from swarm.sona.vectors import Doubles, Vector

SHIFT = 2.5
"""T from which a batch does not look like the task any more."""
PERSIST = 2
"""So many batches in a row must not, before a new task has begun."""
SMALLEST_BATCH = 20
"""Smaller batches are gathered until they are so large: of a few queries the mean says little."""


@dataclass(frozen=True, slots=True, eq=False)
class TaskShift:
    """The current task, and the batches that do not look like it: numbers of queries and sums of shape (d,)."""

    n: float
    total: Doubles
    waiting_n: float
    waiting: Doubles
    strange_n: float
    strange: Doubles
    strange_batches: int = 0
    tasks: int = 0
    """Boundaries found so far."""
    name: str = ""
    """What the current task was said to be; "" if nobody said so, or a shift has ended it since."""

    @classmethod
    def beginning(cls, dim: int) -> TaskShift:
        zero = np.zeros(dim)
        return cls(0.0, zero, 0.0, zero, 0.0, zero)

    def announced(self, name: str) -> tuple[TaskShift, bool]:
        """The state once the task is said to be `name` from now on, and whether another one has ended by that."""
        if name == self.name or not self.n + self.waiting_n + self.strange_n:
            return replace(self, name=name), False
        zero = np.zeros_like(self.total)
        return TaskShift(0.0, zero, 0.0, zero, 0.0, zero, 0, self.tasks + 1, name), True

    def seen(self, queries: Vector) -> tuple[TaskShift, bool]:
        """The state after another batch of queries (n, d), and whether that showed that a new task has begun."""
        waiting_n = self.waiting_n + len(queries)
        waiting = self.waiting + queries.sum(axis=0, dtype=np.float64)
        if waiting_n < SMALLEST_BATCH:
            return replace(self, waiting_n=waiting_n, waiting=waiting), False
        zero = np.zeros_like(self.total)
        gathered = replace(self, waiting_n=0.0, waiting=zero)
        if not self.n or shift(self.total, self.n, waiting, waiting_n) < SHIFT:
            # What looked strange for a moment was no new task: it belongs to this one.
            n, total = self.n + waiting_n + self.strange_n, self.total + waiting + self.strange
            return replace(gathered, n=n, total=total, strange_n=0.0, strange=zero, strange_batches=0), False
        strange_n, strange = self.strange_n + waiting_n, self.strange + waiting
        if self.strange_batches + 1 < PERSIST:
            batches = self.strange_batches + 1
            return replace(gathered, strange_n=strange_n, strange=strange, strange_batches=batches), False
        return TaskShift(strange_n, strange, 0.0, zero, 0.0, zero, 0, self.tasks + 1), True


def shift(task_sum: Doubles, task_n: float, batch_sum: Doubles, batch_n: float) -> float:
    """T of a batch against the task: about 1 without a shift, whatever the embedder's spread is."""
    task, batch = task_sum / task_n, batch_sum / batch_n
    spread = max(1e-6, 1.0 - float(task.dot(task)))
    distance = task - batch
    return float(distance.dot(distance)) / (spread * (1.0 / batch_n + 1.0 / task_n))
