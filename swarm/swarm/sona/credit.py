"""Credit to steps: how the outcome of a trajectory is spread over the patterns and tools that its steps used.

Legend: q in [0, 1] the quality of a trajectory, V the different nodes its steps named, b the mean quality of all
trajectories; X (t, m) tells which of m nodes each of t trajectories used, lambda a ridge in outcomes.

    q ~ b + sum_{v in V} beta_v        beta = (X^T X + lambda I)^-1 X^T (q - b)
    credit_v = q - sum_{u in V, u != v} beta_u, cut to [0, 1]

beta_v is the baseline of node v, kept ACROSS trajectories: what it adds to a run beside the nodes it comes with. A
step's credit is the outcome without what the other steps were expected to add (a difference reward, Wolpert and Tumer
2001; of an additive game beta is the Shapley value). So a good tool is not blamed for a run that a bad one spoiled, and
a helper that comes with every success earns little. One node takes the whole outcome. X^T X, X^T q and the counts
are sums over trajectories: they merge by adding.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from swarm.errors import InputError, shown
from swarm.sona.clusters import MAX_SUM, Tally
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import check_number, check_text

RIDGE = 5.0
"""lambda: a node that was seen so often keeps about half of what it seems to add."""
MAX_NODES = 256
"""So many nodes have a baseline, those used most; of the others nothing is known, and their baseline is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditSums:
    """What baselines are made of. Every number is a sum over trajectories that named a node."""

    total: Tally = field(default_factory=Tally)
    nodes: Mapping[str, Tally] = field(default_factory=dict)
    """Trajectories that used the node, and the sum of their qualities."""
    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Trajectories that used both nodes, by the pair in sorted order."""

    @classmethod
    def of(cls, trajectories: Iterable[Trajectory]) -> CreditSums:
        """The sums of these trajectories; those whose steps name no node add nothing."""
        total = Tally()
        nodes: dict[str, Tally] = {}
        pairs: dict[tuple[str, str], float] = {}
        for trajectory in trajectories:
            used = nodes_of(trajectory)
            if not used:
                continue
            one = Tally(n=1.0, sum_quality=trajectory.quality)
            total += one
            for node in used:
                nodes[node] = nodes.get(node, Tally()) + one
            for pair in combinations(used, 2):
                pairs[pair] = pairs.get(pair, 0.0) + 1.0
        return cls(total=total, nodes=nodes, pairs=pairs)

    def __add__(self, other: CreditSums) -> CreditSums:
        nodes = dict(self.nodes)
        for node, tally in other.nodes.items():
            nodes[node] = nodes.get(node, Tally()) + tally
        pairs = dict(self.pairs)
        for pair, count in other.pairs.items():
            pairs[pair] = pairs.get(pair, 0.0) + count
        return CreditSums(total=self.total + other.total, nodes=nodes, pairs=pairs)

    def bounded(self, max_nodes: int = MAX_NODES) -> CreditSums:
        """The sums with the nodes used most, ties by name: what is worth storing."""
        if len(self.nodes) <= max_nodes:
            return self
        kept = set(sorted(self.nodes, key=lambda node: (-self.nodes[node].n, node))[:max_nodes])
        return CreditSums(
            total=self.total,
            nodes={node: tally for node, tally in self.nodes.items() if node in kept},
            pairs={pair: count for pair, count in self.pairs.items() if kept.issuperset(pair)},
        )

    def baselines(self, ridge: float = RIDGE) -> dict[str, float]:
        """beta of every node, the nodes sorted by name.

        Parameters
        ----------
        ridge : lambda > 0, in outcomes

        >>> sums = CreditSums(total=Tally(n=4, sum_quality=2), nodes={"a": Tally(n=2, sum_quality=2)})
        >>> sums.baselines(ridge=2.0)
        {'a': 0.25}
        """
        check_number(ridge, "ridge", 1e-6, 1e9)
        known = self.bounded()
        names = sorted(known.nodes)
        if not names:
            return {}
        rows = {name: row for row, name in enumerate(names)}
        together = np.diag([known.nodes[name].n + ridge for name in names]).astype(np.float64)
        for (first, second), count in known.pairs.items():
            i, j = rows[first], rows[second]
            together[i, j] = together[j, i] = count
        mean = self.total.sum_quality / self.total.n
        above = [known.nodes[name].sum_quality - mean * known.nodes[name].n for name in names]
        return dict(zip(names, np.linalg.solve(together, np.array(above)).tolist(), strict=True))


def nodes_of(trajectory: Trajectory) -> tuple[str, ...]:
    """The different nodes that the steps name, sorted."""
    return tuple(sorted({step.node for step in trajectory.steps if step.node}))


def spread_credit(trajectory: Trajectory, baselines: Mapping[str, float]) -> tuple[float, ...]:
    """The credit of each step, in [0, 1], in the order of the steps.

    Rewards that tell the steps apart were given step by step, and each is its step's credit. Where all are the
    same the outcome is spread over the nodes by `baselines`; a step that names no node keeps its reward.

    Parameters
    ----------
    trajectory : of any number of steps
    baselines : beta by node, from `CreditSums.baselines` over EARLIER trajectories; a node without one counts as 0

    >>> from swarm.sona.trajectory import Step
    >>> steps = (Step(reward=0.0, node="search"), Step(reward=0.0, node="guess"))
    >>> failure = Trajectory(id="1", embedding=np.ones(2, dtype=np.float32), quality=0.0, steps=steps)
    >>> spread_credit(failure, {"search": 0.25, "guess": -0.5})
    (0.5, 0.0)
    """
    if len({step.reward for step in trajectory.steps}) > 1:
        return tuple(step.reward for step in trajectory.steps)
    used = nodes_of(trajectory)
    expected = math.fsum(baselines.get(node, 0.0) for node in used)
    return tuple(
        _cut(trajectory.quality - (expected - baselines.get(step.node, 0.0))) if step.node else step.reward
        for step in trajectory.steps
    )


def step_outcomes(trajectory: Trajectory, baselines: Mapping[str, float], actions: Container[str]) -> list[Trajectory]:
    """One outcome for each step that used a known action other than the trajectory's own, with that step's credit.

    Parameters
    ----------
    actions : those that are known: a step may name a tool as well, and that is no action of the bank
    """
    return [
        replace(trajectory, id=f"{trajectory.id}/{number}", action=step.node, response="", quality=share, steps=())
        for number, (step, share) in enumerate(zip(trajectory.steps, spread_credit(trajectory, baselines), strict=True))
        if step.node and step.node != trajectory.action and step.node in actions
    ]


def credit_as_dict(sums: CreditSums) -> dict[str, Any]:
    """Plain values, for records; `credit_from_dict` is the inverse."""
    return {
        "total": [sums.total.n, sums.total.sum_quality],
        "nodes": {node: [tally.n, tally.sum_quality] for node, tally in sums.nodes.items()},
        "pairs": [[*pair, count] for pair, count in sums.pairs.items()],
    }


def credit_from_dict(values: Mapping[str, Any]) -> CreditSums:
    """The sums from plain values; errors as in `check_credit_sums`."""
    n, quality = values["total"]
    nodes = {str(node): Tally(n=n, sum_quality=quality) for node, (n, quality) in values["nodes"].items()}
    pairs = {(str(first), str(second)): count for first, second, count in values["pairs"]}
    return check_credit_sums(CreditSums(total=Tally(n=n, sum_quality=quality), nodes=nodes, pairs=pairs))


def check_credit_sums(sums: CreditSums) -> CreditSums:
    """The sums, if their values are in bounds and agree: they came from a file or another host.

    Raises
    ------
    InputError
        If one is not.
    """
    for name, tally in [("total", sums.total), *sums.nodes.items()]:
        check_text(name, "nodes")
        check_number(tally.n, f"n of {shown(name, 60)}", 0.0, MAX_SUM)
        check_number(tally.sum_quality, f"sum_quality of {shown(name, 60)}", 0.0, tally.n * (1.0 + 1e-9))
    for pair, count in sums.pairs.items():
        if pair[0] >= pair[1] or any(node not in sums.nodes for node in pair):
            raise InputError(f"pairs must name two nodes in sorted order, got {shown(pair)}")
        check_number(count, f"pairs of {shown(pair)}", 0.0, min(sums.nodes[node].n for node in pair) * (1.0 + 1e-9))
    if sums.nodes and not sums.total.n > 0.0:
        raise InputError(f"total must count the trajectories of {len(sums.nodes)} nodes, got {sums.total.n:g}")
    return sums


def _cut(credit: float) -> float:
    return min(1.0, max(0.0, credit))
