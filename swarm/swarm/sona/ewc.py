"""Elastic weight consolidation: important weights are held where earlier tasks left them.

Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks", equation 3, in its online form
(Schwarz et al. 2018, "Progress & Compress", section 4): the sums over tasks k

    Lambda = sum_k F_k,   nu = sum_k F_k theta*_k,   kappa = sum_k F_k theta*_k^2

are decayed by gamma at each consolidation and give the penalty of all tasks at the memory of one:
lambda/2 (Lambda theta^2 - 2 nu theta + kappa) = lambda/2 sum_k F_k (theta - theta*_k)^2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarm.errors import ShapeError
from swarm.sona.vectors import Vector


@dataclass(slots=True)
class EwcMemory:
    """The sums, one array per parameter array; empty before the first consolidation.

    `tasks` counts consolidations; `constant` is kappa summed over all parameters.
    """

    importance: list[Vector]
    anchor: list[Vector]
    constant: float = 0.0
    tasks: int = 0

    @classmethod
    def empty(cls) -> EwcMemory:
        return cls(importance=[], anchor=[])

    def copy(self) -> EwcMemory:
        return EwcMemory(
            [a.copy() for a in self.importance], [a.copy() for a in self.anchor], self.constant, self.tasks
        )

    def strength(self, ewc_lambda: float) -> float:
        """lambda for the tasks so far: lambda / sqrt(tasks).

        The sums grow with every task; with a constant lambda the later ones could not be learned any more.
        """
        return ewc_lambda / math.sqrt(max(1, self.tasks))

    def importance_of(self) -> list[Vector]:
        """Importance of each weight in [0, 1]: its Fisher information beside the largest one; empty at the start."""
        largest = max((float(weight.max(initial=0.0)) for weight in self.importance), default=0.0)
        return [weight / np.float32(largest) if largest else weight for weight in self.importance]

    def consolidate(
        self, fisher: Sequence[Vector], parameters: Sequence[Vector], gamma: float, max_tasks: int = 10
    ) -> None:
        """Add a task that ended at `parameters` with the diagonal Fisher information `fisher`.

        The tasks before fade by `gamma`; once there are `max_tasks`, by so much more that the memory weighs no more.
        """
        if self.tasks >= max_tasks:
            gamma *= (max_tasks - 1) / max_tasks
        if [f.shape for f in fisher] != [p.shape for p in parameters]:
            raise ShapeError("fisher must have the shapes of the parameters")
        if not self.importance:
            self.importance = [np.zeros_like(p) for p in parameters]
            self.anchor = [np.zeros_like(p) for p in parameters]
        self.constant *= gamma
        for i, (f, p) in enumerate(zip(fisher, parameters, strict=True)):
            self.importance[i] = np.float32(gamma) * self.importance[i] + f
            self.anchor[i] = np.float32(gamma) * self.anchor[i] + f * p
            self.constant += float(np.sum(f * np.square(p), dtype=np.float64))
        self.tasks += 1

    def penalty(self, parameters: Sequence[Vector], strength: float) -> float:
        """lambda/2 sum_k F_k (theta - theta*_k)^2, in the unit of the loss; zero before the first task."""
        if not self.importance:
            return 0.0
        quadratic = self.constant
        for p, weight, anchor in zip(parameters, self.importance, self.anchor, strict=True):
            quadratic += float(np.sum(weight * np.square(p) - 2.0 * anchor * p, dtype=np.float64))
        return 0.5 * strength * max(0.0, quadratic)

    def pull(self, parameters: Sequence[Vector], strength: float, rates: Sequence[Vector]) -> None:
        """The proximal step of the penalty, in place, after a gradient step of size `rates`.

        theta <- (theta + h lambda nu) / (1 + h lambda Lambda): stable for every lambda, because it can only
        move a weight towards its anchor. h must be what the gradient was multiplied with, weight by weight:
        with a smaller one, such as the nominal rate of Adam, the penalty would weigh next to nothing.
        """
        if strength == 0.0 or not self.importance:
            return
        for p, weight, anchor, rate in zip(parameters, self.importance, self.anchor, rates, strict=True):
            factor = np.float32(strength) * rate
            p += factor * anchor
            p /= 1.0 + factor * weight
