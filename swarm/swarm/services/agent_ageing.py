"""How evidence ages, agent by agent: by the swarm's rules, and of an agent with periods of its own by the shorter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from swarm.sona.ageing import NO_AGEING, Ageing, AgeingRules
from swarm.sona.clusters import Cluster
from swarm.wire.agent_policy import AgentPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """How old everything is at one time; None where nothing ages. `own` has the agents with periods of their own.

    On the grid of `AgeingRules.on_grid` the times of two agents differ, their weights by less than a hundredth: sums of
    different agents are added as if they were of one time.
    """

    common: Ageing | None = None
    own: Mapping[str, Ageing | None] = field(default_factory=dict)

    def of(self, agent: str) -> Ageing | None:
        """How old what an agent holds is."""
        return self.own.get(agent, self.common)

    def parts(self, parts: Mapping[str, Sequence[Cluster]]) -> dict[str, Sequence[Cluster]]:
        """What agents hold, without what has expired, and with all sums at one time: then they add."""
        return {name: aged(clusters, self.of(name)) for name, clusters in parts.items()}

    def is_expired(self, pattern: Cluster) -> bool:
        """Whether the newest evidence of a pattern is too old for every agent that has a part in it."""
        ages = [self.of(name) for name in pattern.agents]
        return bool(ages) and all(ageing is not None and ageing.is_expired(pattern) for ageing in ages)

    @property
    def key(self) -> str:
        """A short text that differs when anything here does; "" if nothing ages."""
        own = [f"{name} {_key(ageing)}" for name, ageing in sorted(self.own.items())]
        return "; ".join([_key(self.common), *own])


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRules:
    """The rules of a swarm, and the policies of its agents."""

    common: AgeingRules = NO_AGEING
    policies: Mapping[str, AgentPolicy] = field(default_factory=dict)

    def of(self, agent: str) -> AgeingRules:
        """The rules for one agent."""
        policy = self.policies.get(agent)
        return self.common if policy is None else rules_under(policy, self.common)

    def at(self, now_s: float) -> Ages:
        """How old everything is at `now_s`."""
        return Ages(common=self.common.at(now_s), own={name: self.of(name).at(now_s) for name in self._own()})

    def on_grid(self, now_s: float) -> Ages:
        """As `at`, at the times of `AgeingRules.on_grid`."""
        return Ages(common=self.common.on_grid(now_s), own={name: self.of(name).on_grid(now_s) for name in self._own()})

    def _own(self) -> list[str]:
        return [name for name, policy in self.policies.items() if policy.half_life_s or policy.ttl_s]


def rules_under(policy: AgentPolicy, common: AgeingRules) -> AgeingRules:
    """The rules of a swarm for an agent of this policy: of both periods the shorter."""
    return common.within(policy.half_life_s, policy.ttl_s)


def aged(clusters: Sequence[Cluster], ageing: Ageing | None) -> Sequence[Cluster]:
    """Those that have not expired, with their sums at the time of `ageing`."""
    return clusters if ageing is None else ageing.aged(clusters)


def _key(ageing: Ageing | None) -> str:
    return "" if ageing is None else ageing.key
