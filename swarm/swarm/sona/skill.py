"""How well each agent can be expected to do a task, from its own outcomes with tasks like it.

Legend: x (d,) the task; c_j centroid of cluster j, a(j) its action, s_j = x . c_j, s* the largest of them; n_kj the
outcomes of agent k in it, q_kj their mean quality, w_kj = n_kj ** 0.7; tau the temperature, theta the similarity of
"nothing near".

    K_j  = exp((s_j - s*) / tau),    W_j = exp((s_j - s*) / (8 tau))        near, and in the wider neighbourhood
    v    = 2 + exp((theta - s*) / tau)                          what a prior is worth: much where nothing is near
    q0   = (v / 2 + sum_kj w K q) / (v + sum_kj w K)                       what all come to with such tasks
    b_k  = (v q0 + sum_j w_kj W_j q_kj) / (v + sum_j w_kj W_j)             what agent k comes to thereabouts
    r_k  = (v b_k + sum_j w_kj K_j q_kj) / (v + sum_j w_kj K_j)            ... with such tasks
    p_ka = (v r_k + sum_{a(j) = a} w_kj K_j q_kj) / (v + sum_{a(j) = a} w_kj K_j)      ... by action a
    quality of k = max(r_k, max_a p_ka),    evidence of k = sum_j w_kj K_j

An agent that has learned which action works is taken at what this action has achieved, not at what it cost to find out;
one whose every result is another is taken at its mean. Of whom nothing is known, what all come to is expected.

The 2 and the 8 were chosen on WorkBench's runs, where they are worth a point of success on tasks of known templates and
one and a half on others (`benchmarks.bench_placement`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from swarm.sona.clusters import UNCONFIRMED
from swarm.sona.index import Hit
from swarm.sona.ranking import BACKGROUND, EVIDENCE_EXPONENT

_PRIOR = 0.5
"""The quality that is expected where nobody has done anything."""
_WORTH = 2.0
"""What a prior is worth, in outcomes at the nearest known task ..."""
_WIDER = 8.0
"""... and by how much the kernel of the wider neighbourhood is wider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """`quality` in [0, 1] is expected; `evidence` is in outcomes at the nearest known task, 0 if nothing is known."""

    quality: float
    evidence: float


@dataclass(slots=True)
class _Sum:
    weight: float = 0.0
    quality: float = 0.0

    def add(self, weight: float, quality: float) -> None:
        self.weight += weight
        self.quality += weight * quality

    def mean(self, prior: float, worth: float) -> float:
        """Shrunken towards `prior` as if it had been seen with the weight `worth`."""
        return (worth * prior + self.quality) / (worth + self.weight)


def expected_skills(near: Sequence[Hit], agents: Collection[str], tau: float) -> dict[str, Skill]:
    """The skill of each of `agents` for a task, by the clusters near it (of successes and of failures).

    Clusters far from the nearest one count for little, so `near` need not hold them.
    """
    if not near:
        return {name: Skill(quality=_PRIOR, evidence=0.0) for name in agents}
    nearest = max(hit.similarity for hit in near)
    worth = _WORTH + math.exp((BACKGROUND - nearest) / tau)
    wanted, everybody = set(agents), _Sum()
    own = {name: _Sum() for name in wanted}
    wide = {name: _Sum() for name in wanted}
    by_action: dict[tuple[str, str], _Sum] = {}
    for cluster, similarity, _ in near:
        kernel = math.exp((similarity - nearest) / tau)
        wider = math.exp((similarity - nearest) / (_WIDER * tau))
        for name in wanted & cluster.agents.keys():
            tally = cluster.agents[name]
            if tally.n <= 0.0:
                continue
            n = tally.n if cluster.confirmed else min(tally.n, UNCONFIRMED)
            weight, quality = kernel * n**EVIDENCE_EXPONENT, tally.sum_quality / tally.n
            wide[name].add(wider * n**EVIDENCE_EXPONENT, quality)
            for part in (everybody, own[name], by_action.setdefault((name, cluster.action), _Sum())):
                part.add(weight, quality)
    prior = everybody.mean(_PRIOR, worth)
    best = {name: part.mean(wide[name].mean(prior, worth), worth) for name, part in own.items()}
    mean = dict(best)
    for (name, _), part in by_action.items():
        best[name] = max(best[name], part.mean(mean[name], worth))
    return {name: Skill(quality=best[name], evidence=own[name].weight) for name in agents}
