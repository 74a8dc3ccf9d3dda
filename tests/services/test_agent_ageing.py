"""Retention of single agents: the shorter of the swarm's periods and their own counts, for their part alone."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarm_support import DIM, some_outcome, some_vector

from swarm.services.agent_ageing import AgentRules, Ages
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.sona.ageing import AgeingRules
from swarm.sona.config import SonaConfig
from swarm.wire.agent_policy import AgentPolicy
from swarm.wire.records import encode_cluster

DAY = 86_400.0
periods = st.none() | st.floats(1.0, 1e9)


@given(periods, periods, periods, periods)
def test_the_shorter_of_two_periods_counts(
    half_life_s: float | None, ttl_s: float | None, own_half_life_s: float | None, own_ttl_s: float | None
) -> None:
    rules = AgentRules(
        common=AgeingRules(half_life_s=half_life_s, ttl_s=ttl_s),
        policies={"own": AgentPolicy(half_life_s=own_half_life_s, ttl_s=own_ttl_s)},
    )
    for ours, own, found in (
        (half_life_s, own_half_life_s, rules.of("own").half_life_s),
        (ttl_s, own_ttl_s, rules.of("own").ttl_s),
    ):
        assert found == min((period for period in (ours, own) if period is not None), default=None)
    assert rules.of("another") == rules.common
    # Who has no periods of its own costs nothing: the key is that of the swarm.
    plain = AgentRules(common=rules.common, policies={"own": AgentPolicy(redact=("email",))})
    assert plain.on_grid(1e9).key == Ages(common=rules.common.on_grid(1e9)).key


def report(swarm: Swarm, background: Background, agent: str, days_old: float) -> None:
    """Eight outcomes of one action, consolidated by a clock that is today's."""
    for number in range(8):
        outcome = replace(some_outcome(number, agent), quality=1.0, at_s=time.time() - days_old * DAY)
        swarm.record(replace(outcome, action="a", response="a", embedding=some_vector(1)), f"{agent}-{number}")
    background.drain(0.0)


def evidence(swarm: Swarm) -> dict[str, float]:
    """By agent how much the bank has of it."""
    return {name: tally.n for pattern in swarm.bank.patterns() for name, tally in pattern.agents.items()}


@pytest.fixture
def two(swarm: Swarm, background: Background) -> Swarm:
    """An agent that will have periods of its own and one that has not; their old evidence is one pattern."""
    for agent in ("brief", "other"):
        swarm.register(agent, "coder", SonaConfig(dim=DIM))
        report(swarm, background, agent, 30.0)
    assert evidence(swarm) == {"brief": 8.0, "other": 8.0}
    assert swarm.bank.count() == 1
    return swarm


def test_an_agent_s_own_half_life_ages_its_part_of_a_pattern_alone(two: Swarm, background: Background) -> None:
    two.register("brief", policy=AgentPolicy(half_life_s=10 * DAY))
    background.merge("test", 0.0)
    assert evidence(two) == {"brief": pytest.approx(1.0, rel=0.02), "other": 8.0}
    # The swarm's own is longer for one, and all there is for the other.
    two.set_retention(half_life_s=30 * DAY)
    background.merge("test", 0.0)
    assert evidence(two) == {"brief": pytest.approx(1.0, rel=0.02), "other": pytest.approx(4.0, rel=0.02)}
    two.set_retention()
    two.register("brief", policy=AgentPolicy())
    background.merge("test", 0.0)
    assert evidence(two) == {"brief": 8.0, "other": 8.0}


def test_what_is_older_than_an_agent_s_own_time_to_live_goes_from_it_alone(two: Swarm, background: Background) -> None:
    two.register("brief", policy=AgentPolicy(ttl_s=20 * DAY))
    due: list[str] = []
    background.sweep(lambda task, agent: due.append(task))
    assert due == ["merge"]
    background.merge("test", 0.0)
    assert evidence(two) == {"other": 8.0}
    assert two.agents.clusters("brief") == []
    assert len(two.agents.clusters("other")) == 1
    # What it reports as old later is not learned, and its present is.
    report(two, background, "brief", 25.0)
    assert evidence(two) == {"other": 8.0}
    two.record(replace(some_outcome(99, "brief"), at_s=time.time()), "new")
    background.drain(0.0)
    assert evidence(two)["brief"] == 1.0


def test_what_is_learned_again_ages_as_it_did(two: Swarm, background: Background) -> None:
    two.register("brief", policy=AgentPolicy(half_life_s=10 * DAY))
    two.record(replace(some_outcome(77, "brief"), at_s=time.time()), "to be taken back")
    background.drain(0.0)
    before = {c.id: encode_cluster(c) for c in two.agents.clusters("brief") if c.action == "a"}
    two.rewind(some_outcome(77, "brief").id)
    assert {c.id: encode_cluster(c) for c in two.agents.clusters("brief")} == before
    forgotten = two.forget(pattern=two.bank.patterns()[0].id)
    assert forgotten.outcomes == 16
    assert two.bank.count() == 0
