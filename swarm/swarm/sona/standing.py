"""Whether an agent's feedback can be believed: additive sums over its outcomes, and what they say.

Legend: over the outcomes whose action others know as well: q_i the reported quality, p_i the probability that the
others' knowledge alone gave the action that was tried (pi of `ranking`, not adapted), r_i the quality that the agent's
own earlier outcomes predicted. z = corr(., q) sqrt(n) is standard normal when a report hangs on nothing that was tried.

Reports of an honest agent agree with what is known (p predicts q), or at least with one another (r predicts q).
Shuffled reports do neither; inverted ones contradict what is known. Reports that are nearly all successes correlate
with nothing: then what counts is whether the agent does what the others would do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from swarm.sona.vectors import Doubles, Vector, check_number

PROBATION = 40.0
"""Outcomes for which an agent is believed before there is evidence; the novelty guard limits what they do."""
_MARGIN = 2.0
_WEAKEST = 0.2
CONTRADICTS = -2.0
"""z_prior at or below which feedback is not believed, however well it fits itself."""
CONSTANT = 0.09
"""Reports whose variance is below, nine successes in ten: there is little that they could correlate with."""
AGREES = 0.5
"""Such an agent stays on probation while what it tried has at least so much of the probability of the best known."""
_BOUND = 1e15


class Verdict(StrEnum):
    """What an agent's feedback counts for."""

    TRUSTED = "trusted"
    PROBATION = "probation"
    """Too little is known: it counts, at swarm scope for little."""
    QUARANTINED = "quarantined"
    """It is kept and does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Sums over an agent's outcomes; two standings add up."""

    n: float = 0.0
    q: float = 0.0
    qq: float = 0.0
    p: float = 0.0
    pp: float = 0.0
    pq: float = 0.0
    r: float = 0.0
    rr: float = 0.0
    rq: float = 0.0
    best: float = 0.0

    def __add__(self, other: Standing) -> Standing:
        mine, theirs = asdict(self), asdict(other)
        return Standing(**{name: mine[name] + theirs[name] for name in mine})

    @classmethod
    def of(
        cls, quality: Vector, known: Vector | Doubles, predicted: Vector | Doubles, best: Vector | Doubles
    ) -> Standing:
        """The sums over outcomes: q_i, p_i, r_i, and the p of the action that others' knowledge prefers, all (n,)."""
        q, p, r = (np.asarray(values, dtype=np.float64) for values in (quality, known, predicted))
        return cls(
            n=float(len(q)),
            q=float(q.sum()),
            qq=float(q.dot(q)),
            p=float(p.sum()),
            pp=float(p.dot(p)),
            pq=float(p.dot(q)),
            r=float(r.sum()),
            rr=float(r.dot(r)),
            rq=float(r.dot(q)),
            best=float(np.sum(best, dtype=np.float64)),
        )

    @property
    def z_prior(self) -> float:
        """How clearly the reports agree with what others know."""
        return _z(self.n, self.p, self.pp, self.q, self.qq, self.pq)

    @property
    def z_own(self) -> float:
        """How clearly the reports agree with the agent's own earlier ones."""
        return _z(self.n, self.r, self.rr, self.q, self.qq, self.rq)

    @property
    def verdict(self) -> Verdict:
        """What the sums say."""
        if self.n < PROBATION:
            return Verdict.PROBATION
        if self.z_prior > CONTRADICTS and max(self.z_prior, self.z_own) >= threshold(self.n):
            return Verdict.TRUSTED
        succeeds = _variance(self.n, self.q, self.qq) < CONSTANT and 2.0 * self.q > self.n
        if succeeds and self.z_prior > CONTRADICTS and self.p >= AGREES * self.best:
            return Verdict.PROBATION
        return Verdict.QUARANTINED

    def as_dict(self) -> dict[str, float]:
        """Plain values, for records; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Standing:
        return cls(**{name: check_number(value, name, 0.0, _BOUND) for name, value in values.items()})


def threshold(n: float) -> float:
    """z from which feedback is believed after n outcomes: the larger of sqrt(2 ln ln n) + 2 and 0.2 sqrt(n).

    It is looked at again and again, and a fixed bound would be passed by chance in the end: sums of noise reach
    sqrt(2 ln ln n) infinitely often (law of the iterated logarithm, Khinchin 1924). The second asks for a correlation
    of at least 0.2, however sure a weaker one is: feedback that is wrong two times in five does more harm than good.
    """
    return max(math.sqrt(2.0 * math.log(math.log(max(n, 16.0)))) + _MARGIN, _WEAKEST * math.sqrt(n))


def _variance(n: float, total: float, squares: float) -> float:
    return max(0.0, squares / n - (total / n) ** 2) if n else 0.0


def _z(n: float, a: float, aa: float, b: float, bb: float, ab: float) -> float:
    spread = _variance(n, a, aa) * _variance(n, b, bb)
    if n < 3.0 or spread < 1e-9:
        return 0.0
    return (ab / n - a * b / n**2) / math.sqrt(spread) * math.sqrt(n)
