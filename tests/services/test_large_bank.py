"""Agents and workers with a bank that is large: everything that asks the bank asks its other form."""

from __future__ import annotations

from functools import partial

import pytest
from swarm_support import DIM, Report, outcomes_in

from swarm.services.background import Background
from swarm.services.replica import Replica
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.index import PatternIndex
from swarm.sona.large_index import LargeIndex
from swarm.store.connection import Client
from swarm_agents.agent import Agent

FEW = 3
"""More patterns than these are many, here."""


@pytest.fixture(autouse=True)
def soon_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("background", "swarm"):
        monkeypatch.setattr(f"swarm.services.{module}.Replica", partial(Replica, large=FEW))


def test_agents_are_consolidated_against_a_large_bank(
    swarm: Swarm, report: Report, settings: Settings, client: Client
) -> None:
    background = Background(settings, client)
    for first in (0, 30, 60):
        for agent in ("a", "b"):
            report(agent, first, first + 30)
            assert background.consolidate(agent, "test", 0.0)["status"] == "committed"
        background.merge("test", 0.0)
    assert {type(replica.index) for replica in background._replicas.values()} == {LargeIndex}
    status = swarm.status()
    assert (status.pending, status.lost) == (0, 0)
    assert sum(agent.consolidated for agent in status.agents) == 180
    assert sum(outcomes_in(swarm.agents.clusters(agent)) for agent in ("a", "b")) == 180


def test_hooks_answer_learn_and_recall_from_a_large_bank(
    swarm: Swarm, report: Report, settings: Settings, client: Client
) -> None:
    background = Background(settings, client)
    for agent in ("a", "b"):
        report(agent, 0, 60)
        background.consolidate(agent, "test", 0.0)
    background.merge("test", 0.0)
    member = Agent("a", swarm=swarm)
    assert isinstance(swarm.replica.index, LargeIndex)
    exact = PatternIndex(member.config)
    exact.put_all(swarm.bank.patterns())
    advice = member.before_task("task 7", agents=["b"])
    assert [hit.action for hit in advice.patterns] == [hit.action for hit in exact.rank(advice.query, 5, agents=["b"])]
    member.after_task(advice.trajectory_id, success=True, used=advice.best)
    assert member.instant_updates == 1
    member.close()
    asked = swarm.embed("task 7")
    found = swarm.query("task 7", roles=["coder"], min_quality=0.9)
    wanted = exact.rank(asked, 5, agents=["a", "b"], min_quality=0.9)
    assert [hit.pattern_id for hit in found] == [hit.pattern.id for hit in wanted]
    assert swarm.recall("task 7")[0].pattern_id == fresh_recall(swarm)


def fresh_recall(swarm: Swarm) -> str:
    """What the exact form of the bank recalls first."""
    exact = Replica(swarm.bank, SonaConfig(dim=DIM))
    exact.refresh()
    return exact.recall(swarm.embed("task 7"), 1)[0].cluster.id
