"""A swarm in one process: the real cycle, merge and index, without Redis and workers between them.

In a round every member meets some requests. It ranks them by the shared bank with its own adapter, `ASKED_AT_ONCE` at a
time, as `PatternIndex.score_batch` ranks; each outcome moves its micro tier (loop A). Then every member that has new
outcomes runs `run_cycle` against the bank of the round before, as its worker would, and `bank_of` makes the next bank
from all members' clusters and their verdicts. A swarm of one member is an isolated agent: the same code, nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.bandit import ASKED_AT_ONCE, TRIES, Stream
from swarm.services.merge import MAX_EXPERTS, bank_of
from swarm.sona import SonaConfig, Trajectory
from swarm.sona.adapter import Adapter
from swarm.sona.background import MICRO_KEEP, Learned, run_cycle
from swarm.sona.clusters import LIBRARY, Cluster
from swarm.sona.ewc import EwcMemory
from swarm.sona.experts import Experts
from swarm.sona.grouping import regroup
from swarm.sona.index import PatternIndex
from swarm.sona.instant import outcome_step
from swarm.sona.standing import Verdict
from swarm.sona.vectors import Doubles, Flags, Integers, Vector

_CHUNK = 512

Behaviour = Callable[[int, Sequence[int]], list[tuple[int, float]]]
"""(row of a request, labels ranked first) -> labels that the member says it tried, each with its quality."""


@dataclass(slots=True, kw_only=True)
class Member:
    """One agent: what it will be asked, how it behaves, and what it knows."""

    name: str
    requests: Integers
    """Rows of the stream, in the order in which they come."""
    behaviour: Behaviour
    learned: Learned
    adapter: Adapter
    fresh: list[Trajectory] = field(default_factory=list)
    """Outcomes that are in no cluster yet."""
    met: int = 0
    """How many of the requests it has met."""


class SimulatedSwarm:
    """Members that share a bank.

    Parameters
    ----------
    library : clusters that are given, and believed
    members : (name, requests, behaviour) of each agent
    config : of every agent
    """

    def __init__(
        self,
        stream: Stream,
        library: Sequence[Cluster],
        members: Iterable[tuple[str, Integers, Behaviour]],
        config: SonaConfig,
    ) -> None:
        self.stream = stream
        self.config = config
        self.index = PatternIndex(config)
        self.members: list[Member] = []
        for name, requests, behaviour in members:
            # From one seed, as in the service: every agent begins with the same random factors.
            adapter = Adapter.initial(config, np.random.default_rng(config.seed))
            learned = Learned(clusters=(), base=adapter.base, ewc=EwcMemory.empty())
            self.members.append(
                Member(name=name, requests=requests, behaviour=behaviour, learned=learned, adapter=adapter)
            )
        self._library = tuple(library)
        self._cycles = 0
        self._merge()

    def run(self, requests_per_round: int) -> None:
        """Rounds until every member has met all its requests."""
        while any(member.met < len(member.requests) for member in self.members):
            for member in self.members:
                asked = member.requests[member.met : member.met + requests_per_round]
                self._meet(member, asked)
                member.met += len(asked)
            for member in self.members:
                if member.fresh:
                    self._learn(member)
            self._cycles += 1
            self._merge()

    def scores(self, member: Member, queries: Vector) -> Doubles:
        """What the member ranks by, of shape (b, m), for queries (b, d); columns as in `labels`."""
        parts = [queries[start : start + _CHUNK] for start in range(0, len(queries), _CHUNK)]
        return np.concatenate([self.index.score_batch(x, y=self._bent(member, x)) for x in parts])

    @property
    def labels(self) -> Integers:
        """The label of each column of `scores`, of shape (m,)."""
        return np.array([int(name) for name in self.index.names], dtype=np.intp)

    def right_at_1(self, member: Member) -> Flags:
        """Whether the member ranks the right label first, for each test row."""
        test = self.stream.test
        first = self.labels[self.scores(member, self.stream.embedding[test]).argmax(axis=1)]
        return np.asarray(first == self.stream.labels[test], dtype=np.bool_)

    def verdicts(self) -> Mapping[str, Verdict]:
        """How far each member's feedback is believed, by name."""
        return {member.name: member.learned.standing.verdict for member in self.members}

    def _meet(self, member: Member, asked: Integers) -> None:
        for start in range(0, len(asked), ASKED_AT_ONCE):
            rows = asked[start : start + ASKED_AT_ONCE]
            best = np.argsort(-self.scores(member, self.stream.embedding[rows]), axis=1, kind="stable")[:, :TRIES]
            for row, ranked in zip(rows.tolist(), self.labels[best].tolist(), strict=True):
                for attempt, (label, quality) in enumerate(member.behaviour(row, ranked)):
                    self._report(member, row, attempt, label, quality)

    def _report(self, member: Member, row: int, attempt: int, label: int, quality: float) -> None:
        x, action = self.stream.embedding[row], str(label)
        member.fresh.append(
            Trajectory(
                id=f"{self.stream.seed}-{member.name}-{row}-{attempt}",
                embedding=x,
                quality=quality,
                action=action,
                agent=member.name,
            )
        )
        delta = self.experts.delta(x, member.adapter, member.name, self.index)
        outcome_step(member.adapter, self.index, x, action, quality, self.config, delta)

    def _learn(self, member: Member) -> None:
        rng = np.random.default_rng((self.config.seed, self._cycles))
        member.learned, report = run_cycle(
            member.learned, member.fresh, self.index, self.config, rng, agent=member.name
        )
        member.fresh = []
        if report.promoted:
            member.adapter.set_base(member.learned.base)
            member.adapter.decay_micro(MICRO_KEEP)

    def _bent(self, member: Member, x: Vector) -> Vector:
        return self.experts.apply(x, member.adapter, member.name, self.index)

    def _merge(self) -> None:
        parts = {LIBRARY: self._library, **{member.name: member.learned.clusters for member in self.members}}
        self.index.replace_all(bank_of(parts, {LIBRARY: Verdict.TRUSTED, **self.verdicts()}))
        trusted = [member for member in self.members if member.learned.standing.verdict is Verdict.TRUSTED]
        trusted.sort(key=lambda member: (-member.met, member.name))
        self.experts = Experts({member.name: member.learned.base for member in trusted[:MAX_EXPERTS]})


def given(known: Vector, labels: Integers, config: SonaConfig) -> tuple[Cluster, ...]:
    """Clusters of what the library gives: a success for each row of `known` (k, d) with its label (k,)."""
    outcomes = [
        Trajectory(id=f"{LIBRARY}-{i}", embedding=x, quality=1.0, action=str(label), agent=LIBRARY)
        for i, (x, label) in enumerate(zip(known, labels.tolist(), strict=True))
    ]
    new = [outcome.as_cluster(config.quality_threshold) for outcome in outcomes]
    return regroup((), new, config, np.random.default_rng(config.seed)).clusters


def honest(stream: Stream) -> Behaviour:
    """Tries what is ranked first, and the next where that was wrong; says how it went."""

    def behave(row: int, ranked: Sequence[int]) -> list[tuple[int, float]]:
        reports = []
        for label in ranked:
            reports.append((label, stream.right_or_wrong(row, label)))
            if reports[-1][1] == 1.0:
                break
        return reports

    return behave


def inverted(stream: Stream) -> Behaviour:
    """Does the same, and says the opposite; it goes on until it has a success to report."""

    def behave(row: int, ranked: Sequence[int]) -> list[tuple[int, float]]:
        reports = []
        for label in ranked:
            reports.append((label, 1.0 - stream.right_or_wrong(row, label)))
            if reports[-1][1] == 1.0:
                break
        return reports

    return behave


def praising_the_wrong(stream: Stream, labels: Integers, seed: int) -> Behaviour:
    """Reports a success of a wrong label, drawn from `labels`, for every request."""
    rng = np.random.default_rng(seed)

    def behave(row: int, ranked: Sequence[int]) -> list[tuple[int, float]]:
        wrong = labels[labels != stream.labels[row]]
        return [(int(rng.choice(wrong)), 1.0)]

    return behave
